//! Random faults in random backends, several at a time: is every call still answered once, and by its own answer?

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Plan;
use crate::fault::Fault;
use crate::judge::Bar;
use crate::load::Tally;
use crate::process;
use crate::random::Random;
use crate::report::Report;
use crate::yard::{HEALING, Yard};

/// Between two faults; each lasts up to four times as long.
const PACE: Duration = Duration::from_millis(80);
const FAULTS: [Fault; 9] = [
    Fault::Kill,
    Fault::Stop,
    Fault::HalfClose,
    Fault::Garbage,
    Fault::HalfLine,
    Fault::ServerError,
    Fault::Reset,
    Fault::Blackhole,
    Fault::Crash,
];

/// Runs the storm.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut yard = Yard::start(&plan.binary).await;
    let processes = process::descendants(yard.gateway.pid()).0.len();
    let memory = process::resident_kib(yard.gateway.pid());
    let load = yard.load(plan.rate());
    let count = if plan.quick { 100 } else { 1_000 };
    let began = Instant::now();
    blow(&yard, count, plan.seed).await;
    let took = began.elapsed();
    let calmed = yard.gateway.all_well(HEALING).await;
    let samples = load.finish().await;
    let (tally, (ran, again)) = (Tally::of(&samples), yard.ran());
    let (left, zombies) = process::settled(yard.gateway.pid(), processes).await;
    let panics = yard.gateway.metric("switchyard_panics_total").await;
    let is_running = yard.gateway.is_running();

    let title = format!("A storm of {count} random faults");
    report.section(
        &title,
        &format!("Seed {}, {:.0} s, any backend, several at a time.", plan.seed, took.as_secs_f64()),
    );
    report.columns(&[
        "sent",
        "answered by the backend",
        "refused",
        "failed",
        "lost",
        "twice",
        "crossed",
        "run",
        "run twice",
    ]);
    let counts = [
        tally.sent,
        tally.ok,
        tally.refused,
        tally.failed,
        tally.lost,
        tally.twice,
        tally.crossed,
        ran,
        again,
    ];
    report.row(&counts.map(|count| count.to_string()));
    let answered = format!("{} of {}", tally.answered(), tally.sent);
    let after = process::resident_kib(yard.gateway.pid());
    for (text, measured, is_met) in [
        ("every call answered once, none by another's answer", answered, tally.is_clean()),
        ("no call run twice", again.to_string(), again == 0),
        ("the gateway never restarted", is_running.to_string(), is_running),
        ("no panic", panics.to_string(), panics == 0.0),
        (
            "every backend well again",
            calmed.clone().err().unwrap_or_else(|| "yes".to_owned()),
            calmed.is_ok(),
        ),
        (
            "no process left over",
            format!("{processes} → {left}, {zombies} zombies"),
            left <= processes && zombies == 0,
        ),
        ("memory ≤ 64 MiB more", format!("{memory} → {after} KiB"), after < memory + 64 * 1024),
    ] {
        report.bar(Bar::new(&title, text, measured, is_met));
    }
    for odd in yard.odd() {
        println!("  odd: {odd}");
    }
}

async fn blow(yard: &Yard, count: usize, seed: u64) {
    let mut random = Random::new(seed);
    let mut heals: Vec<Option<Instant>> = vec![None; yard.peers.len()];
    for _ in 0..count {
        let index = random.below(yard.peers.len());
        let peer = &yard.peers[index];
        let fits: Vec<_> = FAULTS.into_iter().filter(|fault| fault.fits(peer.transport, peer.era)).collect();
        peer.heal();
        peer.inject(fits[random.below(fits.len())]);
        heals[index] = Some(Instant::now() + PACE.mul_f64(random.share() * 4.0));
        sleep(PACE).await;
        for (heal, peer) in heals.iter_mut().zip(&yard.peers) {
            if heal.is_some_and(|at| at <= Instant::now()) {
                peer.heal();
                *heal = None;
            }
        }
    }
    yard.peers.iter().for_each(crate::peer::Peer::heal);
}
