//! What does one sick backend cost the others, and what does a call that meets it cost its caller?
//!
//! The program under test runs as a process of its own, in front of eight backends over every transport, under load
//! that arrives when it is due, whatever became of the calls before it. Faults are injected into one backend at a time
//! and then into any; every answer is compared with what was asked for, and every backend keeps a ledger of what it
//! was asked to do. `tests/faults/run` builds and starts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod descriptors;
mod drain;
mod failing;
mod fault;
mod floods;
mod gateway;
mod hoarders;
mod judge;
mod limits;
mod load;
mod matrix;
mod peer;
mod process;
mod random;
mod reload;
mod report;
mod soak;
mod storm;
mod surroundings;
mod upgrade;
mod yard;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fault::Fault;

/// Faults in backends, their cost to everybody else, and a verdict
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Run the scenarios against a gateway
    Run(Plan),
    /// Be a backend on standard input and output
    Peer(peer::stdio::Options),
    /// Be a backend over HTTP
    RemotePeer(peer::remote::Options),
}

/// What to run, and how long.
#[derive(Debug, Clone, clap::Args)]
struct Plan {
    /// The gateway
    #[arg(long)]
    binary: PathBuf,
    /// Fewer faults, shorter windows
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Where to write the table, as Markdown
    #[arg(long)]
    report: Option<PathBuf>,
    /// Also run for this long under load, faults and reloads
    #[arg(long)]
    soak: Option<humantime::Duration>,
    /// Calls a second to each backend; 60, or 20 of a quick run, which may have little of the machine
    #[arg(long)]
    rate: Option<u32>,
    /// Of the random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Plan {
    fn rate(&self) -> u32 {
        self.rate.unwrap_or(if self.quick { 20 } else { 60 })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|part| name.contains(part))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match Options::parse().mode {
        Mode::Peer(options) => {
            peer::stdio::serve(&options);
            ExitCode::SUCCESS
        }
        Mode::RemotePeer(options) => {
            peer::remote::serve(options).await;
            ExitCode::SUCCESS
        }
        Mode::Run(plan) => run(&plan).await,
    }
}

async fn run(plan: &Plan) -> ExitCode {
    let mut report = report::Report::new(plan);
    if plan.wants("matrix") || Fault::ALL.iter().any(|fault| plan.wants(fault.name())) {
        matrix::run(plan, &mut report).await;
    }
    if plan.wants("storm") {
        storm::run(plan, &mut report).await;
    }
    if plan.wants("failing") {
        failing::run(plan, &mut report).await;
    }
    if plan.wants("limits") {
        limits::run(plan, &mut report).await;
    }
    if plan.wants("floods") {
        floods::run(plan, &mut report).await;
    }
    if plan.wants("hoarders") {
        hoarders::run(plan, &mut report).await;
    }
    if plan.wants("reload") {
        reload::run(plan, &mut report).await;
    }
    if plan.wants("descriptors") {
        descriptors::run(plan, &mut report).await;
    }
    if plan.wants("upgrade") {
        upgrade::run(plan, &mut report).await;
    }
    if plan.wants("drain") {
        drain::run(plan, &mut report).await;
    }
    if plan.wants("surroundings") {
        surroundings::run(plan, &mut report).await;
    }
    if let Some(length) = plan.soak {
        soak::run(plan, length.into(), &mut report).await;
    }
    report.finish()
}
