//! A new process takes over from the one that serves, again and again, under load: does any client notice?

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Plan;
use crate::judge::Bar;
use crate::load::Tally;
use crate::process::{descendants, left_of};
use crate::report::Report;
use crate::yard::Yard;

/// Between two upgrades.
const PAUSE: Duration = Duration::from_millis(200);
/// Of each connection kind; less in a quick run, whose clients may have so little of the machine that a second passes
/// between a connection and its first request.
const RATE: u32 = 30;
const QUICK_RATE: u32 = 5;
/// A gateway that drains closes what was silent for a second; a request that is sent as it does reaches nobody.
const IDLE: Duration = Duration::from_millis(300);

/// What became of the processes that were replaced.
#[derive(Default)]
struct Replaced {
    well_ended: usize,
    left: usize,
    slowest: Duration,
}

/// Runs it.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let (count, rate) = if plan.quick { (3, QUICK_RATE) } else { (20, RATE) };
    let mut yard = Yard::start_patient(&plan.binary).await;
    let (kept, unpooled) = (yard.load_over(rate, IDLE).await, yard.load_over(rate, Duration::ZERO).await);
    let mut replaced = Replaced::default();
    for _ in 0..count {
        sleep(PAUSE).await;
        upgrade(&mut yard, &plan.binary, &mut replaced).await;
    }
    sleep(PAUSE).await;
    let samples = [kept.finish().await, unpooled.finish().await].concat();
    let (tally, (ran, again)) = (Tally::of(&samples), yard.ran());

    let title = format!("{count} upgrades by hand-over");
    let about = "A new process is given the sockets of the one that serves, and takes its place; half of the calls \
                 open a connection of their own.";
    report.section(&title, about);
    report.columns(&["sent", "answered in full", "refused or cut", "run", "run twice", "slowest upgrade, s"]);
    let slowest = format!("{:.1}", replaced.slowest.as_secs_f64());
    let counts = [tally.sent, tally.ok, tally.sent - tally.ok, ran, again].map(|count| count.to_string());
    report.row(&[&counts[..], &[slowest]].concat());
    let (ended, left) = (replaced.well_ended, replaced.left);
    for (text, measured, is_met) in [
        ("0 connections refused, 0 answers cut", tally.lost.to_string(), tally.lost == 0),
        ("every call answered in full", format!("{} of {}", tally.ok, tally.sent), tally.ok == tally.sent),
        ("no call run twice", again.to_string(), again == 0),
        ("every old process ended with 0", format!("{ended} of {count}"), ended == count),
        ("no process left over", left.to_string(), left == 0),
    ] {
        report.bar(Bar::new(&title, text, measured, is_met));
    }
    for odd in yard.odd() {
        println!("  odd: {odd}");
    }
}

/// One upgrade, until the old process and its children are gone.
async fn upgrade(yard: &mut Yard, binary: &Path, replaced: &mut Replaced) {
    let (children, _) = descendants(yard.gateway.pid());
    let began = Instant::now();
    let mut old = yard.upgrade(binary).await;
    let exit = old.ended().await.and_then(|exit| exit.code());
    if exit == Some(0) {
        replaced.well_ended += 1;
    } else {
        println!("  the old process ended with {exit:?}:\n{}", old.log());
    }
    replaced.left += left_of(&children).await;
    replaced.slowest = replaced.slowest.max(began.elapsed());
}
