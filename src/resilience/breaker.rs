//! Is this backend well enough to be sent a call?
//!
//! ```text
//!            streak or rate                    wait is over
//!  Closed ───────────────────▶ Open ─────────────────────────────▶ HalfOpen
//!    ▲                          ▲      probe failed: twice the period,  │ │
//!    │                          │      probe rate limited: the same     │ │
//!    │                          └───────────────────────────────────────┘ │
//!    └────────────────────────────────────────────────────────────────────┘
//!                               probe succeeded
//! ```
//!
//! Beside the circuit there is a *hold*: the time a backend asked for with `Retry-After`. It
//! refuses calls without the circuit being open, and outlives it.

use std::time::{Duration, Instant};

use super::backoff::doubled;
use super::jitter::jittered;
use super::refused::{Reason, Refused};
use super::settings::BreakerSettings;
use super::transition::{BreakerState, Cause, Transition};
use super::wait::Wait;
use super::window::Window;

/// No `Retry-After` is believed beyond this, so that one absurd header cannot silence a backend
/// until the gateway is restarted.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// What an answer, or its absence, says about the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered; ends a streak of failures.
    Success,
    /// It did not answer, or not sensibly.
    Failure,
    /// It refused for now: counts against the rate and leaves the streak as it is.
    RateLimited {
        /// How long it wants to be left alone; honoured up to an hour.
        retry_after: Option<Duration>,
    },
    /// Nothing: the call was cancelled, never sent, or wrong in itself.
    Neutral,
}

/// Leave to send one call, to be given back to [`Breaker::settle`] or [`Breaker::release`].
#[derive(Debug)]
#[must_use = "a probe that is neither settled nor released keeps other calls out"]
pub struct Ticket {
    generation: u64,
    probe: bool,
}

impl Ticket {
    /// Whether this call decides about a half-open circuit.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// One backend's circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    hold: Option<Wait>,
    /// Grows with every trip and reset. What was admitted before says nothing about the backend
    /// as it is after, so tickets of another generation are ignored.
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed {
        streak: u32,
        window: Window,
    },
    Open {
        wait: Wait,
        period: Duration,
    },
    HalfOpen {
        /// Runs while a probe keeps other calls out.
        probe: Option<Wait>,
        period: Duration,
    },
}

impl State {
    fn closed(settings: &BreakerSettings) -> Self {
        Self::Closed { streak: 0, window: Window::new(settings.window) }
    }
}

impl Breaker {
    /// A closed circuit.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { state: State::closed(&settings), settings, hold: None, generation: 0 }
    }

    /// Asks for leave to send one call.
    ///
    /// A probe keeps other calls out for at most `max_open`, then the next call probes as well and
    /// the first of them to be answered decides: a single call of ten minutes must not keep a
    /// backend that is well again from all others for ten minutes.
    ///
    /// # Errors
    ///
    /// [`Refused`] while the circuit is open, while another call is the probe, and while the
    /// backend wants to be left alone.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Refused> {
        match &mut self.state {
            State::Closed { .. } => {
                refuse_during(self.hold, Reason::RateLimited, now)?;
                Ok(self.ticket(false))
            }
            State::Open { wait, period } => {
                refuse_during(Some(*wait), Reason::Open, now)?;
                self.state =
                    State::HalfOpen { probe: Some(Wait::new(now, self.settings.max_open)), period: *period };
                Ok(self.ticket(true))
            }
            State::HalfOpen { probe, .. } => {
                if probe.is_some_and(|wait| !wait.is_over(now)) {
                    let retry_after = self.settings.open;
                    let reason = Reason::Probing;
                    return Err(Refused { reason, retry_after });
                }
                *probe = Some(Wait::new(now, self.settings.max_open));
                Ok(self.ticket(true))
            }
        }
    }

    /// Takes a ticket back with what became of the call.
    ///
    /// `jitter` (0 to 1, see [`jitter()`](super::jitter())) shortens an open period by up to a
    /// half. Only a failure or a rate limit trips the circuit, never a success.
    pub fn settle(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        now: Instant,
        jitter: f64,
    ) -> Option<Transition> {
        if ticket.generation != self.generation {
            return None;
        }
        self.hold_for(verdict, now);
        match &mut self.state {
            State::Closed { streak, window } => {
                let cause = judge(&self.settings, streak, window, verdict, now)?;
                let period = self.settings.open.min(self.settings.max_open);
                Some(self.trip(cause, period, now, jitter))
            }
            State::Open { .. } => None,
            State::HalfOpen { probe, period } => match verdict {
                Verdict::Success => self.reset(),
                Verdict::Failure => {
                    let period = doubled(*period, self.settings.max_open);
                    Some(self.trip(Cause::Probe, period, now, jitter))
                }
                Verdict::RateLimited { .. } => {
                    let period = *period;
                    Some(self.trip(Cause::Probe, period, now, jitter))
                }
                Verdict::Neutral => {
                    *probe = None;
                    None
                }
            },
        }
    }

    /// Takes a ticket back about whose call nothing is known; frees the place of a probe.
    pub fn release(&mut self, ticket: Ticket) {
        if let State::HalfOpen { probe, .. } = &mut self.state
            && ticket.generation == self.generation
        {
            *probe = None;
        }
    }

    /// Closes the circuit and forgets every count: the backend was reached again by other means.
    ///
    /// A hold stays, since a new connection does not lift the backend's own limit.
    pub fn reset(&mut self) -> Option<Transition> {
        let was_closed = matches!(self.state, State::Closed { .. });
        self.state = State::closed(&self.settings);
        self.generation += 1;
        (!was_closed).then_some(Transition::Reset)
    }

    /// The circuit at `now`; half open as soon as a call would be let through as a probe.
    pub fn state(&self, now: Instant) -> BreakerState {
        match &self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { wait, .. } if !wait.is_over(now) => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether the place of a probe is taken.
    #[cfg(test)]
    pub(super) fn is_probed(&self) -> bool {
        matches!(self.state, State::HalfOpen { probe: Some(_), .. })
    }

    fn ticket(&self, probe: bool) -> Ticket {
        Ticket { generation: self.generation, probe }
    }

    /// Opens the circuit, for no shorter than the backend asked for.
    fn trip(&mut self, cause: Cause, period: Duration, now: Instant, jitter: f64) -> Transition {
        let held = self.hold.map_or(Duration::ZERO, |hold| hold.left(now));
        let open_for = jittered(period, jitter).max(held);
        let wait = Wait::new(now, open_for);
        self.state = State::Open { wait, period };
        self.generation += 1;
        Transition::Tripped { cause, open_for }
    }

    /// Starts the pause a backend asks for, unless one that ends later is running.
    fn hold_for(&mut self, verdict: Verdict, now: Instant) {
        let Verdict::RateLimited { retry_after: Some(asked) } = verdict else {
            return;
        };
        let asked = asked.min(LONGEST_HOLD);
        if self.hold.is_none_or(|hold| hold.left(now) < asked) {
            self.hold = Some(Wait::new(now, asked));
        }
    }
}

fn refuse_during(wait: Option<Wait>, reason: Reason, now: Instant) -> Result<(), Refused> {
    let retry_after = wait.map_or(Duration::ZERO, |wait| wait.left(now));
    if retry_after.is_zero() {
        return Ok(());
    }
    Err(Refused { reason, retry_after })
}

/// Counts a verdict of a closed circuit and says whether, and why, it is to trip.
fn judge(
    settings: &BreakerSettings,
    streak: &mut u32,
    window: &mut Window,
    verdict: Verdict,
    now: Instant,
) -> Option<Cause> {
    match verdict {
        Verdict::Neutral => return None,
        Verdict::Success => {
            *streak = 0;
            window.success(now);
            return None;
        }
        Verdict::Failure => {
            *streak = streak.saturating_add(1);
            window.failure(now);
            if *streak >= settings.failures {
                return Some(Cause::Streak);
            }
        }
        Verdict::RateLimited { .. } => window.failure(now),
    }
    let counts = window.counts(now);
    let too_low = counts.success_rate() < settings.success_rate;
    (too_low && counts.total() >= settings.min_calls).then_some(Cause::Rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: Verdict = Verdict::RateLimited { retry_after: None };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn settle(breaker: &mut Breaker, verdict: Verdict, now: Instant) -> Option<Transition> {
        match breaker.admit(now) {
            Ok(ticket) => breaker.settle(ticket, verdict, now, 0.0),
            Err(refused) => unreachable!("{refused}"),
        }
    }

    fn tripped(cause: Cause, millis: u64) -> Option<Transition> {
        let open_for = ms(millis);
        Some(Transition::Tripped { cause, open_for })
    }

    /// A breaker with default settings that tripped at the returned instant.
    fn open() -> (Breaker, Instant) {
        let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
        for _ in 0..4 {
            assert_eq!(settle(&mut breaker, Verdict::Failure, now), None);
        }
        let transition = settle(&mut breaker, Verdict::Failure, now);
        assert_eq!(transition, tripped(Cause::Streak, 1000));
        (breaker, now)
    }

    #[test]
    fn an_open_circuit_says_when_to_try_again_and_then_lets_one_probe_through() {
        let (mut breaker, now) = open();
        assert_eq!(breaker.state(now), BreakerState::Open);
        let refused = breaker.admit(now + ms(300)).map_err(|it| it.retry_after);
        assert!(matches!(refused, Err(left) if left == ms(700)));
        let later = now + ms(1000);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        assert!(breaker.admit(later).is_ok_and(|ticket| ticket.is_probe()));
        let second = breaker.admit(later).map_err(|it| it.reason);
        assert!(matches!(second, Err(Reason::Probing)));
    }

    #[test]
    fn failing_probes_double_the_period_up_to_the_longest_and_a_good_one_starts_over() {
        let (mut breaker, mut now) = open();
        for (waited, next) in [(1, 2), (2, 4), (4, 8), (8, 16), (16, 30), (30, 30)] {
            now += ms(waited * 1000);
            let transition = settle(&mut breaker, Verdict::Failure, now);
            assert_eq!(transition, tripped(Cause::Probe, next * 1000));
        }
        now += ms(30_000);
        let transition = settle(&mut breaker, Verdict::Success, now);
        assert_eq!(transition, Some(Transition::Reset));
        for _ in 0..4 {
            assert_eq!(settle(&mut breaker, Verdict::Failure, now), None);
        }
        let transition = settle(&mut breaker, Verdict::Failure, now);
        assert_eq!(transition, tripped(Cause::Streak, 1000));
    }

    #[test]
    fn a_success_ends_the_streak_and_a_rate_limit_neither_ends_nor_feeds_it() {
        let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
        for verdict in [[Verdict::Failure; 4], [LIMITED; 4]].concat() {
            assert_eq!(settle(&mut breaker, verdict, now), None);
        }
        assert_eq!(settle(&mut breaker, Verdict::Success, now), None);
        for verdict in [[Verdict::Failure; 4], [LIMITED; 4]].concat() {
            assert_eq!(settle(&mut breaker, verdict, now), None);
        }
        let transition = settle(&mut breaker, Verdict::Failure, now);
        assert_eq!(transition, tripped(Cause::Streak, 1000));
    }

    #[test]
    fn the_rate_trips_below_its_limit_and_not_at_it() {
        let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
        for _ in 0..10 {
            assert_eq!(settle(&mut breaker, Verdict::Success, now), None);
            assert_eq!(settle(&mut breaker, LIMITED, now), None);
        }
        let transition = settle(&mut breaker, LIMITED, now);
        assert_eq!(transition, tripped(Cause::Rate, 1000));
    }

    #[test]
    fn answers_from_before_a_trip_change_nothing() {
        let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
        let late: Vec<_> = (0..3).flat_map(|_| breaker.admit(now)).collect();
        for _ in 0..5 {
            let _ = settle(&mut breaker, Verdict::Failure, now);
        }
        let probe = breaker.admit(now + ms(1000));
        let hold = Verdict::RateLimited { retry_after: Some(ms(9000)) };
        for (ticket, verdict) in late.into_iter().zip([Verdict::Success, Verdict::Failure, hold]) {
            assert_eq!(breaker.settle(ticket, verdict, now + ms(1000), 0.0), None);
        }
        let other = breaker.admit(now + ms(1000)).map_err(|it| it.reason);
        assert!(matches!(other, Err(Reason::Probing)));
        let reset = probe.map(|it| breaker.settle(it, Verdict::Success, now + ms(1000), 0.0));
        assert_eq!(reset, Ok(Some(Transition::Reset)));
        assert!(breaker.admit(now + ms(1000)).is_ok());
    }

    #[test]
    fn retry_after_refuses_until_then_without_tripping_and_outlives_a_reset() {
        let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
        let short = breaker.admit(now);
        let limited = |seconds: u64| Verdict::RateLimited { retry_after: Some(ms(seconds * 1000)) };
        assert_eq!(settle(&mut breaker, limited(60), now), None);
        let shorter = short.map(|ticket| breaker.settle(ticket, limited(2), now, 0.0));
        assert_eq!(shorter, Ok(None));
        assert_eq!(breaker.state(now), BreakerState::Closed);
        assert_eq!(breaker.reset(), None);
        let refused = breaker.admit(now + ms(59_000)).map(|_| ());
        let expected = Refused { reason: Reason::RateLimited, retry_after: ms(1000) };
        assert_eq!(refused, Err(expected));
        assert!(breaker.admit(now + ms(60_000)).is_ok());
    }

    #[test]
    fn an_absurd_retry_after_is_believed_for_an_hour() {
        let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
        let retry_after = Some(Duration::MAX);
        let _ = settle(&mut breaker, Verdict::RateLimited { retry_after }, now);
        assert!(breaker.admit(now + LONGEST_HOLD - ms(1)).is_err());
        assert!(breaker.admit(now + LONGEST_HOLD).is_ok());
    }

    #[test]
    fn a_rate_limited_probe_reopens_for_as_long_as_it_was_told_and_does_not_double() {
        let (mut breaker, now) = open();
        let told = Verdict::RateLimited { retry_after: Some(ms(7000)) };
        let transition = settle(&mut breaker, told, now + ms(1000));
        assert_eq!(transition, tripped(Cause::Probe, 7000));
        let transition = settle(&mut breaker, LIMITED, now + ms(8000));
        assert_eq!(transition, tripped(Cause::Probe, 1000));
    }

    #[test]
    fn a_slow_probe_keeps_others_out_no_longer_than_the_longest_open_period() {
        let (mut breaker, now) = open();
        let slow = breaker.admit(now + ms(1000));
        assert!(breaker.admit(now + ms(30_999)).is_err());
        let second = breaker.admit(now + ms(31_000));
        assert!(second.is_ok_and(|ticket| ticket.is_probe()));
        let reset = slow.map(|it| breaker.settle(it, Verdict::Success, now + ms(32_000), 0.0));
        assert_eq!(reset, Ok(Some(Transition::Reset)));
    }

    #[test]
    fn jitter_shortens_the_open_period_and_not_the_next_one() {
        let mut breaker = Breaker::new(BreakerSettings { failures: 1, ..BreakerSettings::default() });
        let now = Instant::now();
        let first = breaker.admit(now);
        let transition = first.map(|it| breaker.settle(it, Verdict::Failure, now, 1.0));
        assert_eq!(transition, Ok(tripped(Cause::Streak, 500)));
        let transition = settle(&mut breaker, Verdict::Failure, now + ms(500));
        assert_eq!(transition, tripped(Cause::Probe, 2000));
    }
}
