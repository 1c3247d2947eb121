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
use super::closed::Closed;
use super::jitter::jittered;
use super::refused::{Reason, Refused};
use super::settings::BreakerSettings;
use super::transition::{BreakerState, Cause, Transition};
use super::verdict::Verdict;
use super::wait::Wait;

/// No `Retry-After` is believed beyond this, so that one absurd header cannot silence a backend
/// until the gateway is restarted.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

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
    Closed(Closed),
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

impl Breaker {
    /// A closed circuit.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { state: State::Closed(Closed::new(settings.window)), settings, hold: None, generation: 0 }
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
            State::Closed(_) => {
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
            State::Closed(closed) => {
                let cause = closed.count(verdict, &self.settings, now)?;
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
        let was_closed = matches!(self.state, State::Closed(_));
        self.state = State::Closed(Closed::new(self.settings.window));
        self.generation += 1;
        (!was_closed).then_some(Transition::Reset)
    }

    /// The circuit at `now`; half open as soon as a call would be let through as a probe.
    pub fn state(&self, now: Instant) -> BreakerState {
        match &self.state {
            State::Closed(_) => BreakerState::Closed,
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

#[cfg(test)]
mod tests;
