//! A backend that only fails, under heavy load: how much of the load does it still see? And a child that only
//! crashes: how often is it started?

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::fault::Fault;
use crate::judge::Bar;
use crate::load::{Tally, Verdict};
use crate::process::descendants;
use crate::report::Report;
use crate::yard::{HEALING, Yard};

/// Calls a second.
const RATE: u32 = 500;
/// Calls that may be under way when the circuit opens: a few; on a machine that is busy with something else as many as
/// are let in at a time.
const UNDER_WAY: usize = 3;
const LET_IN: usize = 64;
/// The one that fails, over streamable HTTP, and the one that crashes, a child.
const FAILING: usize = 3;
const CRASHING: usize = 0;

/// Runs both.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let yard = Yard::start(&plan.binary).await;
    report.section("Nothing but failures", "");
    report.columns(&[
        "what",
        "calls a second",
        "sent",
        "seen by the backend in the first second",
        "and a second after",
    ]);
    failing(plan, &yard, report).await;
    if plan.quick {
        return; // Starts a minute take a minute to count.
    }
    report.section("A child that crashes at every start", "");
    report.columns(&["seconds", "starts", "processes left", "zombies"]);
    crashing(&Yard::start_holding(&plan.binary).await, report).await;
}

async fn failing(plan: &Plan, yard: &Yard, report: &mut Report) {
    let seconds: u32 = if plan.quick { 4 } else { 15 };
    let peer = &yard.peers[FAILING];
    peer.inject(Fault::ServerError);
    // Its process is told, and answers well until then.
    let heard = Instant::now() + HEALING;
    while yard.clients[0].call(peer.name, yard.numbers.draw(), 0).await == Verdict::Ok
        && Instant::now() < heard
    {}
    let (before, began) = (peer.ledger.totals().0, Instant::now());
    let load = yard.load_of(&[FAILING], RATE);
    sleep(Duration::from_secs(1)).await;
    let (first, until) = (peer.ledger.totals().0 - before, Instant::now());
    sleep(Duration::from_secs(seconds.into())).await;
    let (all, waited) = (peer.ledger.totals().0 - before, until.elapsed());
    let tally = Tally::of(&load.finish().await);
    peer.heal();
    let each = f64::from(u32::try_from(all - first).unwrap()) / waited.as_secs_f64();
    report.row(&[
        "every call fails".to_owned(),
        RATE.to_string(),
        tally.sent.to_string(),
        first.to_string(),
        format!("{each:.1}"),
    ]);
    // Five failures in a row open the circuit; what was under way by then was sent before.
    let text = "a failing backend at 500 calls/s sees 5 calls and those under way, then the probes";
    let measured = format!("{first} in the first second, then {each:.1} a second");
    let under_way = if plan.quick { LET_IN } else { UNDER_WAY };
    let probes = 4.0 * (until - began).as_secs_f64();
    let few = first <= 5 * 6 / 5 + under_way + probes as usize;
    report.bar(Bar::new("failing", text, measured, few && each <= 2.0));
    report.bar(Bar::new("failing", "every call answered once", tally.sent.to_string(), tally.is_clean()));
}

async fn crashing(yard: &Yard, report: &mut Report) {
    let limit = Duration::from_secs(60);
    let processes = descendants(yard.gateway.pid()).0.len();
    let peer = &yard.peers[CRASHING];
    let before = peer.starts();
    peer.inject(Fault::Refuse);
    let began = Instant::now();
    sleep(limit).await;
    let starts = peer.starts() - before;
    let (left, zombies) = descendants(yard.gateway.pid());
    peer.heal();
    let spent = began.elapsed().as_secs();
    report.row(&[spent.to_string(), starts.to_string(), left.len().to_string(), zombies.to_string()]);
    report.bar(Bar::new("crash loop", "≤ 5 starts a minute", starts.to_string(), starts <= 5));
    let left = left.len();
    let measured = format!("{processes} → {left}, {zombies} zombies");
    report.bar(Bar::new("crash loop", "no process left over", measured, left <= processes && zombies == 0));
}
