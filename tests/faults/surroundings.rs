//! What is around the gateway fails: nobody reads its log, or the reader is gone; another gateway comes to its state
//! directory. Are calls answered, operators too, and does SIGTERM still end it?

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::Plan;
use crate::gateway::{LogReader, absolute};
use crate::judge::Bar;
use crate::load::Tally;
use crate::report::Report;
use crate::yard::{HEALING, Yard};

/// Long enough for the lines of calls to fill a pipe of 64 KiB several times.
const HELD: Duration = Duration::from_secs(8);
/// For a process that is refused to end.
const REFUSAL: Duration = Duration::from_secs(60);

/// Runs all of them.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    report.section(
        "What is around the gateway",
        "Every call is logged. All backends are called all the time, then SIGTERM is sent.",
    );
    report.columns(&["what", "sent", "answered", "operators", "exit code", ""]);
    without_reader(plan, report, "the reader of the log is gone", LogReader::Gone).await;
    without_reader(plan, report, "the reader of the log stalls", LogReader::Stalled).await;
    two_in_one_directory(plan, report).await;
}

async fn without_reader(plan: &Plan, report: &mut Report, name: &str, reader: LogReader) {
    let mut yard = Yard::start_talkative(&plan.binary).await;
    let _ = yard.gateway.all_well(HEALING).await;
    yard.gateway.read_log(reader);
    let load = yard.load(plan.rate());
    sleep(HELD).await;
    let tally = Tally::of(&load.finish().await);
    let dropped = yard.gateway.metric("switchyard_log_lines_dropped_total").await;
    finish(report, &mut yard, name, &tally, &format!("{dropped} lines dropped")).await;
    if reader == LogReader::Gone {
        report.bar(Bar::new(name, "dropped lines are counted", dropped.to_string(), dropped > 0.0));
    }
}

/// Ends the gateway, and judges what holds for each of them.
async fn finish(report: &mut Report, yard: &mut Yard, name: &str, tally: &Tally, remark: &str) {
    let alive = yard.gateway.get("livez").await == "alive\n";
    let code = yard.gateway.terminate().await.and_then(|exit| exit.code());
    let operators = if alive { "answered" } else { "not answered" };
    let (sent, ok) = (tally.sent.to_string(), tally.ok.to_string());
    report.row(&[name.to_owned(), sent, ok, operators.to_owned(), format!("{code:?}"), remark.to_owned()]);
    let served = format!("{} of {}", tally.ok, tally.sent);
    for (text, measured, is_met) in [
        ("surroundings: every call answered", served, tally.ok == tally.sent && tally.sent > 0),
        ("surroundings: operators are answered", operators.to_owned(), alive),
        ("surroundings: SIGTERM ends it with 0", format!("{code:?}"), code == Some(0)),
    ] {
        report.bar(Bar::new(name, text, measured, is_met));
    }
}

/// Another file with the same `state_dir` asks to take over.
async fn two_in_one_directory(plan: &Plan, report: &mut Report) {
    let name = "a second gateway with another file and the same state directory";
    let mut yard = Yard::start_patient(&plan.binary).await;
    yard.write_beside("other.yaml", &yard.config());
    let load = yard.load(plan.rate());
    let (code, said) = refused(&plan.binary, yard.directory()).await;
    sleep(Duration::from_secs(2)).await;
    let tally = Tally::of(&load.finish().await);
    let holder = format!("process {} with ", yard.gateway.pid());
    report.bar(Bar::new(name, "it is refused", format!("{code:?}"), code == Some(1)));
    let names = said.contains(&holder);
    report.bar(Bar::new(name, "the refusal names the holder", names.to_string(), names));
    finish(report, &mut yard, name, &tally, &format!("the second ended with {code:?}")).await;
}

/// How a gateway with the other file ended, and what it said.
async fn refused(binary: &Path, directory: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(absolute(binary));
    command.args(["serve", "--take-over", "--config", "other.yaml"]).current_dir(directory);
    command.env_remove("RUST_LOG").kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
    let output = timeout(REFUSAL, command.stderr(Stdio::piped()).output()).await;
    match output {
        Ok(Ok(output)) => (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
        _ => (None, String::new()),
    }
}
