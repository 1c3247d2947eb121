//! Does the breaker do what a naive account of everything that ever happened says it should?
//!
//! The model keeps every event since the circuit last changed and counts them anew each time, in
//! whole milliseconds. It keeps no streak and no buckets, and opens and closes nothing by itself.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const WINDOW_MS: u64 = 1000;
const OPEN_MS: u64 = 100;
const MAX_OPEN_MS: u64 = 700;
const FAILURES: usize = 3;
const MIN_CALLS: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Admit,
    Settle { which: usize, verdict: Verdict, half: bool },
    Drop { which: usize },
    Advance { millis: u64 },
    Reset,
}

/// What the last trip or reset said about the backend, and what follows in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Epoch {
    Well,
    Ill { until: u64, period: u64 },
}

#[derive(Debug)]
struct Model {
    now: u64,
    epoch: Epoch,
    /// How many times the circuit tripped or reset.
    changes: usize,
    /// Every verdict that counted since the last change.
    verdicts: Vec<(u64, Verdict)>,
    /// Every time this epoch's probe place was taken (true) or freed (false).
    probes: Vec<(u64, bool)>,
    /// The end of every pause the backend ever asked for.
    pauses: Vec<u64>,
}

impl Model {
    fn new() -> Self {
        Self {
            now: 0,
            epoch: Epoch::Well,
            changes: 0,
            verdicts: Vec::new(),
            probes: Vec::new(),
            pauses: Vec::new(),
        }
    }

    fn paused_for(&self) -> u64 {
        let end = self.pauses.iter().max().copied().unwrap_or(0);
        end.saturating_sub(self.now)
    }

    fn state(&self) -> BreakerState {
        match self.epoch {
            Epoch::Well => BreakerState::Closed,
            Epoch::Ill { until, .. } if self.now < until => BreakerState::Open,
            Epoch::Ill { .. } => BreakerState::HalfOpen,
        }
    }

    fn admit(&mut self) -> Result<(), (Reason, u64)> {
        match self.epoch {
            Epoch::Well if self.paused_for() > 0 => Err((Reason::RateLimited, self.paused_for())),
            Epoch::Well => Ok(()),
            Epoch::Ill { until, .. } if self.now < until => Err((Reason::Open, until - self.now)),
            Epoch::Ill { .. } => match self.probes.last() {
                Some((since, true)) if self.now < since + MAX_OPEN_MS => Err((Reason::Probing, OPEN_MS)),
                _ => {
                    self.probes.push((self.now, true));
                    Ok(())
                }
            },
        }
    }

    fn settle(&mut self, verdict: Verdict, half: bool) -> Option<Transition> {
        if let Verdict::RateLimited { retry_after: Some(asked) } = verdict {
            self.pauses.push(self.now + asked.as_millis() as u64);
        }
        match (self.epoch, verdict) {
            (Epoch::Well, Verdict::Neutral) => None,
            (Epoch::Well, _) => {
                self.verdicts.push((self.now, verdict));
                self.cause().map(|cause| self.trip(cause, OPEN_MS, half))
            }
            (Epoch::Ill { .. }, Verdict::Success) => self.reset(),
            (Epoch::Ill { .. }, Verdict::Neutral) => {
                self.probes.push((self.now, false));
                None
            }
            (Epoch::Ill { period, .. }, Verdict::Failure) => {
                Some(self.trip(Cause::Probe, MAX_OPEN_MS.min(period * 2), half))
            }
            (Epoch::Ill { period, .. }, Verdict::RateLimited { .. }) => {
                Some(self.trip(Cause::Probe, period, half))
            }
        }
    }

    /// Why the circuit should trip, given that the last verdict was just added.
    fn cause(&self) -> Option<Cause> {
        let kinds = self.verdicts.iter().map(|(_, verdict)| *verdict);
        let unlimited = kinds.filter(|kind| matches!(kind, Verdict::Success | Verdict::Failure));
        let row: Vec<_> = unlimited.rev().take(FAILURES).collect();
        let (_, last) = *self.verdicts.last()?;
        if last == Verdict::Failure && row == [Verdict::Failure; FAILURES] {
            return Some(Cause::Streak);
        }
        let tenth = |at: u64| (at - self.verdicts[0].0) / (WINDOW_MS / 10);
        let in_window = |at: u64| tenth(self.now) - tenth(at) < 10;
        let recent: Vec<_> = self.verdicts.iter().filter(|it| in_window(it.0)).collect();
        let good = recent.iter().filter(|it| it.1 == Verdict::Success).count();
        let low = recent.len() >= MIN_CALLS && good * 2 < recent.len();
        (low && last != Verdict::Success).then_some(Cause::Rate)
    }

    fn trip(&mut self, cause: Cause, period: u64, half: bool) -> Transition {
        let shortened = if half { period / 2 } else { period };
        let open_for = shortened.max(self.paused_for());
        let until = self.now + open_for;
        self.change(Epoch::Ill { until, period });
        let open_for = Duration::from_millis(open_for);
        Transition::Tripped { cause, open_for }
    }

    fn reset(&mut self) -> Option<Transition> {
        let was = self.epoch;
        self.change(Epoch::Well);
        (was != Epoch::Well).then_some(Transition::Reset)
    }

    fn change(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.changes += 1;
        self.verdicts.clear();
        self.probes.clear();
    }
}

/// The breaker and the model side by side, and the calls in flight: each with the number of
/// changes the model had seen when it was admitted.
struct Pair {
    start: Instant,
    breaker: Breaker,
    model: Model,
    calls: Vec<(Ticket, usize)>,
}

impl Pair {
    fn new() -> Self {
        let settings = BreakerSettings {
            failures: FAILURES as u32,
            success_rate: 0.5,
            min_calls: MIN_CALLS as u32,
            window: Duration::from_millis(WINDOW_MS),
            open: Duration::from_millis(OPEN_MS),
            max_open: Duration::from_millis(MAX_OPEN_MS),
        };
        Self {
            start: Instant::now(),
            breaker: Breaker::new(settings),
            model: Model::new(),
            calls: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.model.now)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Admit => self.admit()?,
            Step::Settle { which, verdict, half } => self.settle(which, verdict, half)?,
            Step::Drop { which } => self.drop_call(which),
            Step::Advance { millis } => self.model.now += millis,
            Step::Reset => prop_assert_eq!(self.breaker.reset(), self.model.reset()),
        }
        prop_assert_eq!(self.breaker.state(self.now()), self.model.state());
        Ok(())
    }

    fn admit(&mut self) -> Result<(), TestCaseError> {
        let was_well = self.model.epoch == Epoch::Well;
        let expected = self.model.admit();
        match self.breaker.admit(self.now()) {
            Ok(ticket) => {
                prop_assert_eq!(expected, Ok(()));
                prop_assert_eq!(ticket.is_probe(), !was_well);
                self.calls.push((ticket, self.model.changes));
            }
            Err(refused) => {
                let left = refused.retry_after.as_millis() as u64;
                prop_assert_eq!(expected, Err((refused.reason, left)));
            }
        }
        Ok(())
    }

    fn take(&mut self, which: usize) -> Option<(Ticket, bool)> {
        let which = which.checked_rem(self.calls.len())?;
        let (ticket, changes) = self.calls.swap_remove(which);
        Some((ticket, changes == self.model.changes))
    }

    fn settle(&mut self, which: usize, verdict: Verdict, half: bool) -> Result<(), TestCaseError> {
        let Some((ticket, in_time)) = self.take(which) else {
            return Ok(());
        };
        let expected = in_time.then(|| self.model.settle(verdict, half)).flatten();
        let jitter = if half { 1.0 } else { 0.0 };
        let actual = self.breaker.settle(ticket, verdict, self.now(), jitter);
        prop_assert_eq!(actual, expected);
        Ok(())
    }

    fn drop_call(&mut self, which: usize) {
        if let Some((ticket, in_time)) = self.take(which) {
            self.breaker.release(ticket);
            if in_time {
                self.model.settle(Verdict::Neutral, false);
            }
        }
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let limited = prop::option::weighted(0.3, (0u64..900).prop_map(Duration::from_millis));
    prop_oneof![
        3 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        2 => limited.prop_map(|retry_after| Verdict::RateLimited { retry_after }),
        1 => Just(Verdict::Neutral),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let settle = (0usize..8, verdict(), any::<bool>());
    prop_oneof![
        16 => Just(Step::Admit),
        16 => settle.prop_map(|(which, verdict, half)| Step::Settle { which, verdict, half }),
        2 => (0usize..8).prop_map(|which| Step::Drop { which }),
        6 => prop_oneof![0u64..30, 0u64..400, Just(OPEN_MS), 0u64..3000]
            .prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_breaker_agrees_with_a_naive_account_of_every_event(
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step)?;
        }
    }
}
