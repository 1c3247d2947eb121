//! `switchyard token`

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::server::new_token;

use super::output::{print, print_json, say};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token for one client; only its hash goes into the configuration
    New {
        /// The client's name under `clients:`
        #[arg(value_parser = name)]
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

fn name(text: &str) -> Result<String, String> {
    let is_legal = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    is_legal.then(|| text.to_owned()).ok_or_else(|| "use 1 to 64 letters, digits, `_`, `.` or `-`".to_owned())
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::New { name, json } = command;
    let (token, hash) = new_token()?;
    if *json {
        print_json(&json!({ "name": name, "token": token, "token_sha256": hash }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say("The token, shown only now; give it to the client:\n");
    print(&format!("{token}\n"))?;
    say(&format!("\nIts hash, for gateway.yaml:\n\nclients:\n  {name}:\n    token_sha256: {hash}"));
    Ok(ExitCode::SUCCESS)
}
