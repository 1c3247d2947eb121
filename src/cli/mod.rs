//! What can I run? The command line, one file a command.

mod banner;
mod call;
mod callback;
mod check;
mod connect;
mod list;
mod output;
mod plan;
mod plan_tools;
mod reach;
mod schema;
mod serve;
mod sockets;
mod status;
mod terminal;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::config::{self, Config, Problems};
use crate::telemetry;

/// For the last lines of a server, whose standard error may have no reader, to be written.
const LAST_LINES: Duration = Duration::from_secs(1);
/// The same for a command that a person runs, perhaps through a pager.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// One MCP endpoint in front of many MCP servers.
///
/// Reads gateway.yaml, connects to every server in it, and presents their tools, resources and prompts to
/// Claude and other MCP clients as one server. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "switchyard", version, about, long_about, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, clap::Args)]
struct ConfigFile {
    /// Configuration file
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "SWITCHYARD_CONFIG",
        default_value = "gateway.yaml"
    )]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients: over HTTP, or with --stdio the one that started this process
    Serve(serve::Options),
    /// Check the configuration, reach every backend, and show what Claude would trip over
    ///
    /// Exits with 2 if the file is wrong, 1 if a backend cannot be reached or a model's API would refuse a
    /// tool, 0 otherwise.
    Check(check::Options),
    /// Show what a reload would change: backends, tools, schemas, token cost
    ///
    /// Compares FILE, as if it were the configuration file, with the configuration that is (or was last) in
    /// force, which the gateway keeps in `state_dir`; starts what is new or altered to learn its tools. Exits
    /// with 0 if nothing changes, 2 if something does, 1 if the file is wrong or a backend cannot be reached.
    Plan(plan::Options),
    /// Show how the running gateway and its backends are
    ///
    /// Asks the operators' endpoint (`admin.listen`) of the gateway that runs with this configuration. Exits
    /// with 1 if there is none.
    Status(status::Options),
    /// List tools (or prompts, resources, templates)
    ///
    /// Asks the gateway that runs with this configuration; if none does, starts the backends for this
    /// command alone.
    List(list::Options),
    /// Call one tool and print its result
    ///
    /// Asks the gateway that runs with this configuration; if none does, starts the backends for this
    /// command alone. Exits with 1 if the tool failed.
    Call(call::Options),
    /// Let the gateway in at a backend's authorization server (OAuth), with a browser
    ///
    /// Prints the address of the page to open, waits for the browser to come back, and keeps what was granted,
    /// sealed, in `state_dir`. A running gateway notices.
    Connect(connect::Options),
    /// Make tokens for clients
    Token {
        #[command(subcommand)]
        command: token::Command,
    },
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// What the gateway starts beside itself
    #[command(name = "guard", hide = true)]
    Guard { mark: String },
    /// Run one of the demo servers that the shipped configuration uses
    #[cfg(feature = "demo")]
    Demo {
        #[command(subcommand)]
        command: crate::demo::DemoCommand,
    },
}

/// Runs the command line; what goes wrong is written to standard error.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Guard { mark }) = &arguments.command {
        // Without the runtime's threads: it only waits, for as long as the gateway lives.
        crate::backend::guard(mark, std::io::stdin());
        return ExitCode::SUCCESS;
    }
    let serves = matches!(arguments.command, None | Some(Command::Serve(_)));
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")
        .and_then(|runtime| {
            let code = runtime.block_on(run(arguments));
            // Standard input is read on a thread that only ends with its input: do not wait for it.
            runtime.shutdown_background();
            code
        });
    let code = ran.unwrap_or_else(|error| {
        match serves {
            true => output::failure_as(serve::log_format(), &error),
            false => output::failure(&error),
        }
        if error.is::<Problems>() { ExitCode::from(2) } else { ExitCode::FAILURE }
    });
    telemetry::flush(if serves { LAST_LINES } else { LAST_WORDS });
    code
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.file.config;
    match arguments.command.unwrap_or(Command::Serve(serve::Options::default())) {
        Command::Serve(options) => serve::run(load(&file)?, options).await,
        Command::Check(options) => check::run(&file, &options).await,
        Command::Plan(options) => Ok(plan::run(&file, &options).await),
        Command::Status(options) => status::run(&file, &options).await,
        Command::List(options) => list::run(&file, &options).await,
        Command::Call(options) => call::run(&file, &options).await,
        Command::Connect(options) => connect::run(load(&file)?, &options).await,
        Command::Token { command } => token::run(&command),
        Command::Schema => schema::run(),
        Command::Guard { .. } => Ok(ExitCode::SUCCESS),
        #[cfg(feature = "demo")]
        Command::Demo { command } => crate::demo::run(command).await.map(|()| ExitCode::SUCCESS),
    }
}

fn load(file: &Path) -> anyhow::Result<Config> {
    Ok(config::load(file)?)
}
