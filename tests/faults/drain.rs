//! SIGTERM with calls in flight: are all of them answered, and does nothing stay behind?

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Plan;
use crate::judge::Bar;
use crate::load::Tally;
use crate::process::{descendants, left_of};
use crate::report::Report;
use crate::yard::Yard;

const CALLS: usize = 50;
/// How long each call takes: less than its deadline.
const DELAY_MS: u64 = 400;
/// From the first call to the signal: all have arrived, none is answered.
const HEAD_START: Duration = Duration::from_millis(200);

/// Runs it.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut yard = Yard::start(&plan.binary).await;
    let mut calls = JoinSet::new();
    for turn in 0..CALLS {
        let client = Arc::clone(&yard.clients[turn % yard.clients.len()]);
        let (name, number) = (yard.peers[turn % yard.peers.len()].name, yard.numbers.draw());
        calls.spawn(async move { client.call(name, number, DELAY_MS).await });
    }
    sleep(HEAD_START).await;
    let (children, _) = descendants(yard.gateway.pid());
    let in_flight = calls.len();
    let exit = yard.gateway.terminate().await;
    let mut tally = Tally::default();
    while let Some(Ok(verdict)) = calls.join_next().await {
        tally.add(verdict);
    }
    let left = left_of(&children).await;

    report.section("SIGTERM with calls in flight", "");
    report.columns(&["in flight", "answered in full", "exit code", "processes left"]);
    let code = exit.and_then(|exit| exit.code());
    report.row(&[in_flight.to_string(), tally.ok.to_string(), format!("{code:?}"), left.to_string()]);
    for (text, measured, is_met) in [
        ("SIGTERM: all calls in flight answered in full", tally.ok.to_string(), tally.ok == CALLS),
        ("SIGTERM: exit code 0", format!("{code:?}"), code == Some(0)),
        ("SIGTERM: no process left over", left.to_string(), left == 0),
    ] {
        report.bar(Bar::new("drain", text, measured, is_met));
    }
    for odd in yard.odd() {
        println!("  odd: {odd}");
    }
}
