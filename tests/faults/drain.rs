//! SIGTERM with calls in flight: are all of them answered, and does nothing stay behind?

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::judge::Bar;
use crate::load::Tally;
use crate::process::{descendants, left_of};
use crate::report::Report;
use crate::yard::Yard;

const CALLS: usize = 50;
/// How long each call takes: less than its deadline, and long enough for all of them to be in flight at once.
const DELAY_MS: u64 = 4_000;
/// For all of them to arrive.
const ARRIVAL: Duration = Duration::from_millis(3_500);

/// Runs it.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut yard = Yard::start_patient(&plan.binary).await;
    let mut calls = JoinSet::new();
    for turn in 0..CALLS {
        let client = Arc::clone(&yard.clients[turn % yard.clients.len()]);
        let (name, number) = (yard.peers[turn % yard.peers.len()].name, yard.numbers.draw());
        calls.spawn(async move { client.call(name, number, DELAY_MS).await });
    }
    let (children, _) = descendants(yard.gateway.pid());
    let in_flight = arrived(&yard).await;
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
        (
            "SIGTERM: all calls in flight answered in full",
            tally.ok.to_string(),
            in_flight > 0 && tally.ok >= in_flight,
        ),
        ("SIGTERM: exit code 0", format!("{code:?}"), code == Some(0)),
        ("SIGTERM: no process left over", left.to_string(), left == 0),
    ] {
        report.bar(Bar::new("drain", text, measured, is_met));
    }
    for odd in yard.odd() {
        println!("  odd: {odd}");
    }
}

/// How many calls are in flight when the signal is sent: all of them, unless the machine is too slow for that.
async fn arrived(yard: &Yard) -> usize {
    let until = Instant::now() + ARRIVAL;
    loop {
        let status = yard.gateway.status().await;
        let backends = status["backends"].as_array().into_iter().flatten();
        let in_flight: u64 = backends.filter_map(|one| one["in_flight"].as_u64()).sum();
        let in_flight = usize::try_from(in_flight).unwrap();
        if in_flight >= CALLS || Instant::now() > until {
            return in_flight;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
