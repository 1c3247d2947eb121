//! `switchyard call`

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use crate::protocol::{Object, RawJson, Routed};
use crate::router::{Event, Inbound};

use super::output::{print, print_json, say};
use super::reach::{Target, caller, reach};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The tool, as `switchyard list` shows it
    name: String,
    /// Its arguments: a JSON object, or `-` to read one from standard input
    #[arg(default_value = "{}")]
    arguments: String,
    /// Print the whole result as JSON, not only its text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let arguments = arguments(&options.arguments)?;
    let gateway = reach(file, &options.target).await?;
    let mut params = Object::new();
    params.set("name", RawJson::of(&options.name)).set("arguments", arguments);
    let inbound = Inbound::new(Routed::CallTool, Some(params.to_json()), caller());
    let mut exchange = gateway.router().call(inbound);
    let answer = loop {
        if let Event::Answer(answer) = exchange.next().await {
            break answer;
        }
    };
    gateway.stop().await;
    match answer {
        Ok(result) => show(&result, options.json),
        Err(error) => {
            let message = error.get("message").and_then(|message| message.to::<String>()).unwrap_or_default();
            bail!("{message}")
        }
    }
}

fn arguments(text: &str) -> anyhow::Result<RawJson> {
    let text = if text == "-" {
        let mut input = String::new();
        std::io::stdin()
            .read_to_string(&mut input)
            .context("failed to read the arguments from standard input")?;
        input
    } else {
        text.to_owned()
    };
    let arguments = RawJson::parse(Bytes::from(text)).context("the arguments are not valid JSON")?;
    if !arguments.is_object() {
        bail!("the arguments must be a JSON object, such as '{{\"query\": \"ada\"}}'");
    }
    Ok(arguments)
}

fn show(result: &RawJson, whole: bool) -> anyhow::Result<ExitCode> {
    let value = result.to::<Value>().unwrap_or_default();
    let failed = value.get("isError").and_then(Value::as_bool).unwrap_or(false);
    if whole {
        print_json(&value)?;
    } else {
        for block in value.get("content").and_then(Value::as_array).into_iter().flatten() {
            show_block(block, failed)?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show_block(block: &Value, failed: bool) -> std::io::Result<()> {
    let text = match block.get("text").and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => format!(
            "[{}; use --json to see it]",
            block.get("type").and_then(Value::as_str).unwrap_or("unknown block")
        ),
    };
    if failed {
        say(&text);
        return Ok(());
    }
    print(&format!("{text}\n"))
}
