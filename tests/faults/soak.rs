//! Load, faults and reloads for a long time: do memory, descriptors and tasks stay where they are?

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::fault::Fault;
use crate::judge::Bar;
use crate::load::Tally;
use crate::process::{descriptors, resident_kib};
use crate::random::Random;
use crate::reload::reload;
use crate::report::Report;
use crate::yard::{HEALING, Yard};

/// Between two faults, and how long each lasts.
const PACE: Duration = Duration::from_secs(2);
/// Faults between two reloads.
const RELOAD: usize = 5;
const RATE: u32 = 20;

/// What the gateway holds, while every backend is well.
struct Held {
    memory_kib: u64,
    descriptors: u64,
    tasks: u64,
}

/// Runs for as long as the plan says.
pub(crate) async fn run(plan: &Plan, length: Duration, report: &mut Report) {
    let yard = Yard::start(&plan.binary).await;
    let load = yard.load(RATE);
    let mut random = Random::new(plan.seed);
    let (began, mut held, mut turn) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < length {
        let peer = &yard.peers[random.below(yard.peers.len())];
        let fits: Vec<_> =
            Fault::ALL.into_iter().filter(|fault| fault.fits(peer.transport, peer.era)).collect();
        peer.inject(fits[random.below(fits.len())]);
        sleep(PACE).await;
        peer.heal();
        turn += 1;
        if turn % RELOAD == 0 {
            reload(&yard, turn).await;
            let _ = yard.gateway.all_well(HEALING).await;
            held.push(look(&yard).await);
        }
    }
    let tally = Tally::of(&load.finish().await);
    let title = format!("{} minutes of load, faults and reloads", length.as_secs() / 60);
    report.section(
        &title,
        &format!("{turn} faults; looked at {} times, while every backend was well.", held.len()),
    );
    report.columns(&["", "second quarter, median", "last quarter, median"]);
    for (name, of, slack) in [
        ("memory, KiB", &(|held: &Held| held.memory_kib) as &dyn Fn(&Held) -> u64, 4 * 1024),
        ("file descriptors", &|held: &Held| held.descriptors, 8),
        ("tasks", &|held: &Held| held.tasks, 8),
    ] {
        let quarter = held.len() / 4;
        let (early, late) = (median(&held[quarter..2 * quarter], of), median(&held[3 * quarter..], of));
        report.row(&[name.to_owned(), early.to_string(), late.to_string()]);
        let measured = format!("{early} → {late}");
        report.bar(Bar::new(&title, &format!("{name}: flat"), measured, late <= early + early / 10 + slack));
    }
    let measured = format!("{} of {}", tally.answered(), tally.sent);
    report.bar(Bar::new(&title, "every call answered once", measured, tally.is_clean()));
}

async fn look(yard: &Yard) -> Held {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let tasks = yard.gateway.metric("switchyard_tasks").await as u64;
    let pid = yard.gateway.pid();
    Held { memory_kib: resident_kib(pid), descriptors: descriptors(pid) as u64, tasks }
}

fn median(held: &[Held], of: &dyn Fn(&Held) -> u64) -> u64 {
    let mut values: Vec<_> = held.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
