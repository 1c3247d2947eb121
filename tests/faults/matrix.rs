//! Every fault in turn on one backend: what it costs the seven others, and the calls that meet it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Plan;
use crate::fault::Fault;
use crate::judge::{Bar, is_near};
use crate::load::{Load, Sample, Tally, Verdict, millis, quantile};
use crate::process;
use crate::report::Report;
use crate::yard::{DEADLINE, HEALING, Yard};

/// Backends that stay well in every row.
const CALM: usize = 3;
/// Windows with the fault in a row: more while the healthy backends' latency is in doubt.
const ROUNDS: (usize, usize) = (3, 9);
/// Too few to judge latency by, so a quick run only shows it.
const QUICK_ROUNDS: (usize, usize) = (2, 2);

const COLUMNS: [&str; 14] = [
    "fault",
    "on",
    "healthy p50 without → with, ms",
    "healthy p99 without → with, ms",
    "healthy failed",
    "circuit opens, ms",
    "refused call p50 / p99, ms",
    "recovery (allowed), ms",
    "sent",
    "answered",
    "lost",
    "twice / crossed",
    "processes left",
    "memory, MiB",
];

/// When a fault was on.
#[derive(Debug, Clone, Copy)]
struct Round {
    began: Instant,
    injected: Instant,
    healed: Instant,
    recovered: Option<Instant>,
}

/// One fault on one backend.
struct Row {
    fault: Fault,
    sick: usize,
    rounds: Vec<Round>,
    first_sample: usize,
    /// Between two calls to the sick backend: when it changed is known no better.
    spacing: Duration,
}

/// Runs the matrix.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut yard = Yard::start(&plan.binary).await;
    let load = yard.load(plan.rate());
    sleep(Duration::from_secs(1)).await;
    report.section("One fault at a time", &about(plan));
    report.columns(&COLUMNS);
    for (fault, sick) in rows(plan, &yard) {
        if plan.wants(fault.name()) {
            row(plan, &yard, &load, fault, sick, report).await;
        }
    }
    let tally = Tally::of(&load.finish().await);
    let (ran, again) = yard.ran();
    let clean = tally.is_clean() && again == 0 && yard.gateway.is_running();
    let measured =
        format!("{} sent, {} answered, {ran} run, {again} run twice", tally.sent, tally.answered());
    report.bar(Bar::new(
        "one fault at a time",
        "every call answered once, run at most once",
        measured,
        clean,
    ));
    for odd in yard.odd() {
        println!("  odd: {odd}");
    }
}

fn about(plan: &Plan) -> String {
    format!(
        "Eight backends, each called {} times a second; seven are well. Windows with the fault alternate with windows \
         without it; latencies are those of the seven, from when a call was due, and the median of the windows.",
        plan.rate()
    )
}

/// Each fault on each kind of backend; in a quick run on one kind each.
fn rows(plan: &Plan, yard: &Yard) -> Vec<(Fault, usize)> {
    let sickly = 0..yard.peers.len() - CALM;
    let mut rows = Vec::new();
    for (turn, fault) in Fault::ALL.into_iter().enumerate() {
        let fits = |index: &usize| fault.fits(yard.peers[*index].transport, yard.peers[*index].era);
        let kinds: Vec<_> = sickly.clone().filter(fits).collect();
        match plan.quick {
            true => rows.push((fault, kinds[turn % kinds.len()])),
            false => rows.extend(kinds.into_iter().map(|kind| (fault, kind))),
        }
    }
    rows
}

async fn row(plan: &Plan, yard: &Yard, load: &Load, fault: Fault, sick: usize, report: &mut Report) {
    let window = Duration::from_millis(if plan.quick { 1_000 } else { 1_200 });
    let (least, most) = if plan.quick { QUICK_ROUNDS } else { ROUNDS };
    let before = process::resident_kib(yard.gateway.pid());
    let processes = process::descendants(yard.gateway.pid()).0.len();
    let spacing = Duration::from_secs(1) / plan.rate();
    let mut row = Row { fault, sick, rounds: Vec::new(), first_sample: load.count(), spacing };
    loop {
        row.rounds.push(round(yard, load, fault, sick, window).await);
        if row.rounds.len() < least {
            continue;
        }
        sleep(DEADLINE).await;
        let samples = load.ended(row.first_sample);
        let enough = row.latencies(&samples).is_near() || row.rounds.len() >= most;
        if enough {
            let (left, zombies) = process::settled(yard.gateway.pid(), processes).await;
            let left = (i64::try_from(left).unwrap() - i64::try_from(processes).unwrap(), zombies);
            let after = process::resident_kib(yard.gateway.pid());
            return row.report(yard, &samples, left, (before, after), report);
        }
    }
}

/// A window without the fault, one with it, and the way back.
async fn round(yard: &Yard, load: &Load, fault: Fault, sick: usize, window: Duration) -> Round {
    let peer = &yard.peers[sick];
    if let Err(ill) = yard.gateway.all_well(HEALING).await {
        println!("  not well before {fault} on {}: {ill}", peer.name);
    }
    let began = Instant::now();
    sleep(window).await;
    let (injected, seen) = (Instant::now(), load.count());
    peer.inject(fault);
    sleep(window).await;
    peer.heal();
    let healed = Instant::now();
    let mut recovered = None;
    while recovered.is_none() && healed.elapsed() < HEALING {
        sleep(Duration::from_millis(20)).await;
        let samples = load.ended(seen);
        let mut good = samples.iter().filter(|one| one.backend == sick && one.sent >= healed);
        recovered = good.find(|one| one.verdict == Verdict::Ok).map(|one| one.ended);
    }
    Round { began, injected, healed, recovered }
}

/// Of the healthy backends, window by window.
struct Latencies {
    without: Windows,
    with: Windows,
}

impl Latencies {
    /// Within the bar, or within what the windows without the fault differ by among themselves.
    fn is_near(&self) -> bool {
        let noise = quantile(self.without.p99.clone(), 0.75);
        is_near(self.with.p99(), self.without.p99()) || self.with.p99() <= noise
    }
}

/// The median of the windows is what counts: a neighbour's burst spoils one window, not all.
#[derive(Default)]
struct Windows {
    p50: Vec<Duration>,
    p99: Vec<Duration>,
}

impl Windows {
    fn add(&mut self, latencies: &[Duration]) {
        self.p50.extend(quantile(latencies.to_vec(), 0.5));
        self.p99.extend(quantile(latencies.to_vec(), 0.99));
    }

    fn p50(&self) -> Option<Duration> {
        quantile(self.p50.clone(), 0.5)
    }

    fn p99(&self) -> Option<Duration> {
        quantile(self.p99.clone(), 0.5)
    }
}

impl Row {
    fn latencies(&self, samples: &[Sample]) -> Latencies {
        let between = |from: Instant, to: Instant| -> Vec<Duration> {
            let within = |one: &&Sample| one.backend != self.sick && (from..to).contains(&one.due);
            samples.iter().filter(within).map(|one| one.ended - one.due).collect()
        };
        let mut latencies = Latencies { without: Windows::default(), with: Windows::default() };
        for round in &self.rounds {
            latencies.without.add(&between(round.began, round.injected));
            latencies.with.add(&between(round.injected, round.healed));
        }
        latencies
    }

    /// From the fault to the first call that was refused without being sent, in the slowest round.
    fn opened(&self, samples: &[Sample]) -> Option<Duration> {
        let refused = self.refused(samples);
        let first = |round: &Round| {
            let within = refused.iter().filter(|one| one.sent >= round.injected && one.sent < round.healed);
            within.map(|one| one.ended - round.injected).min()
        };
        self.rounds.iter().filter_map(first).max()
    }

    fn refused<'a>(&self, samples: &'a [Sample]) -> Vec<&'a Sample> {
        let is_refused = |one: &&Sample| matches!(one.verdict, Verdict::Refused { .. });
        samples.iter().filter(|one| one.backend == self.sick).filter(is_refused).collect()
    }

    /// The slowest recovery, and what the refusals of that time allow: the wait they named and one probe. The first
    /// refusal of a wait comes up to one call after it began and names what is left of it, and the call that finds it
    /// over up to one call after that.
    fn recovery(&self, samples: &[Sample]) -> Option<(Duration, Duration)> {
        let refused = self.refused(samples);
        let of = |round: &Round| {
            let recovered = round.recovered?;
            let near = |one: &&&Sample| one.ended + DEADLINE >= round.healed && one.sent <= recovered;
            let named = refused.iter().filter(near).filter_map(|one| match one.verdict {
                Verdict::Refused { retry_after_ms } => retry_after_ms,
                _ => None,
            });
            let allowed = Duration::from_millis(named.max().unwrap_or(0)) + DEADLINE + 2 * self.spacing;
            Some((recovered - round.healed, allowed))
        };
        let all: Option<Vec<_>> = self.rounds.iter().map(of).collect();
        all?.into_iter().max_by_key(|(took, allowed)| took.saturating_sub(*allowed).max(*took / 1_000))
    }

    fn report(
        &self,
        yard: &Yard,
        samples: &[Sample],
        left: (i64, usize),
        memory: (u64, u64),
        report: &mut Report,
    ) {
        let latencies = self.latencies(samples);
        let p99 = (latencies.without.p99(), latencies.with.p99());
        let tally = Tally::of(samples);
        let during = |one: &&Sample| self.rounds.iter().any(|round| one.due >= round.began);
        let healthy = Tally::of(samples.iter().filter(|one| one.backend != self.sick).filter(during));
        let failed = healthy.sent - healthy.ok;
        let refused: Vec<_> = self.refused(samples).iter().map(|one| one.ended - one.sent).collect();
        let refusal = (quantile(refused.clone(), 0.5), quantile(refused, 0.99));
        let recovery = self.recovery(samples);
        let pair = |(a, b): (Option<Duration>, Option<Duration>), sign| {
            format!("{} {sign} {}", millis(a), millis(b))
        };
        report.row(&[
            self.fault.to_string(),
            yard.peers[self.sick].kind().to_owned(),
            pair((latencies.without.p50(), latencies.with.p50()), "→"),
            pair(p99, "→"),
            failed.to_string(),
            millis(self.opened(samples)),
            pair(refusal, "/"),
            recovery.map_or("never".to_owned(), |(took, allowed)| pair((Some(took), Some(allowed)), "of")),
            tally.sent.to_string(),
            tally.answered().to_string(),
            tally.lost.to_string(),
            format!("{} / {}", tally.twice, tally.crossed),
            format!("{:+}, {} zombies", left.0, left.1),
            format!("{:.1} → {:.1}", mib(memory.0), mib(memory.1)),
        ]);
        let name = format!("{} on {}", self.fault, yard.peers[self.sick].kind());
        let judges_times = !report.is_quick();
        let mut judge =
            |text: &str, measured: String, is_met| report.bar(Bar::new(&name, text, measured, is_met));
        if judges_times {
            judge("healthy p99 ≤ 1.2 × and ≤ +2 ms", pair(p99, "→"), latencies.is_near());
        }
        judge("no healthy call failed", failed.to_string(), failed == 0);
        judge(
            "every call answered once",
            format!("{} of {}", tally.answered(), tally.sent),
            tally.is_clean(),
        );
        if let Some(median) = refusal.0.filter(|_| judges_times) {
            judge("a refused call < 1 ms", pair(refusal, "/"), median < Duration::from_millis(1));
        }
        match recovery {
            None => judge("recovery", "never".to_owned(), false),
            Some((took, allowed)) if judges_times => judge(
                "recovery ≤ the open period + one probe",
                pair((Some(took), Some(allowed)), "of"),
                took <= allowed,
            ),
            Some((took, _)) => judge("recovery", millis(Some(took)), true),
        }
        judge(
            "no process left over",
            format!("{:+}, {} zombies", left.0, left.1),
            left.0 <= 0 && left.1 == 0,
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
