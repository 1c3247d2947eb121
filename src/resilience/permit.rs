//! Who may send, and what if the sender vanishes?

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::breaker::{Breaker, Ticket};
use super::jitter::jitter;
use super::refused::Refused;
use super::settings::BreakerSettings;
use super::transition::{BreakerState, Transition};
use super::verdict::Verdict;

/// One backend's [`Breaker`], shared by everyone who calls it.
///
/// The lock is held for a few comparisons and never across an await.
#[derive(Debug, Clone)]
pub struct SharedBreaker(Arc<Mutex<Breaker>>);

impl SharedBreaker {
    /// A closed circuit.
    pub fn new(settings: BreakerSettings) -> Self {
        Self(Arc::new(Mutex::new(Breaker::new(settings))))
    }

    /// Asks for leave to send one call; see [`Breaker::admit`].
    ///
    /// # Errors
    ///
    /// [`Refused`], with the time after which to try again.
    pub fn admit(&self, now: Instant) -> Result<Permit, Refused> {
        let ticket = self.0.lock().admit(now)?;
        Ok(Permit { ticket: Some(ticket), breaker: self.clone() })
    }

    /// Closes the circuit: the supervisor reached the backend again. See [`Breaker::reset`].
    pub fn reset(&self) -> Option<Transition> {
        self.0.lock().reset()
    }

    /// Whether the place of a probe is taken.
    #[cfg(test)]
    pub(crate) fn is_probed(&self) -> bool {
        self.0.lock().is_probed()
    }

    /// The circuit at `now`.
    pub fn state(&self, now: Instant) -> BreakerState {
        self.0.lock().state(now)
    }
}

/// Leave to send one call.
///
/// Dropped unsettled, because its task was cancelled or never came to send, it counts for nothing
/// and frees the place of a probe.
#[derive(Debug)]
#[must_use = "the call counts for nothing when its permit is dropped"]
pub struct Permit {
    ticket: Option<Ticket>,
    breaker: SharedBreaker,
}

impl Permit {
    /// Whether this call decides about a half-open circuit.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_probe)
    }

    /// Says what became of the call; see [`Breaker::settle`].
    pub fn settle(mut self, verdict: Verdict, now: Instant) -> Option<Transition> {
        let ticket = self.ticket.take()?;
        let mut breaker = self.breaker.0.lock();
        breaker.settle(ticket, verdict, now, jitter())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.0.lock().release(ticket);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A circuit that tripped on its first call, and the instant its probe is due.
    fn open() -> (SharedBreaker, Instant) {
        let settings = BreakerSettings { failures: 1, ..BreakerSettings::default() };
        let due = Instant::now() + settings.open;
        let breaker = SharedBreaker::new(settings);
        let permit = breaker.admit(Instant::now()).unwrap();
        let transition = permit.settle(Verdict::Failure, due - Duration::from_secs(1));
        assert!(matches!(transition, Some(Transition::Tripped { .. })));
        (breaker, due)
    }

    #[test]
    fn a_probe_dropped_unsettled_frees_its_place_and_leaves_the_circuit_half_open() {
        let (breaker, due) = open();
        let probe = breaker.admit(due).unwrap();
        assert!(probe.is_probe());
        assert!(breaker.admit(due).is_err());
        drop(probe);
        assert_eq!(breaker.state(due), BreakerState::HalfOpen);
        assert!(breaker.admit(due).unwrap().is_probe());
    }

    #[test]
    fn a_probe_that_panics_frees_its_place() {
        let (breaker, due) = open();
        let sender = breaker.clone();
        let panicked = std::thread::spawn(move || {
            let _probe = sender.admit(due).unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.join().is_err());
        assert!(breaker.admit(due).is_ok());
    }

    #[test]
    fn a_permit_of_an_earlier_generation_frees_nobody_elses_probe() {
        let (breaker, due) = open();
        let stale = breaker.admit(due).unwrap();
        assert_eq!(breaker.reset(), Some(Transition::Reset));
        let failing = breaker.admit(due).unwrap();
        assert!(failing.settle(Verdict::Failure, due).is_some());
        let due = due + Duration::from_secs(1);
        let _probe = breaker.admit(due).unwrap();
        drop(stale);
        assert!(breaker.admit(due).is_err());
    }

    #[test]
    fn of_many_threads_one_becomes_the_probe() {
        let (breaker, due) = open();
        let admitted = std::thread::scope(|scope| {
            let ask = || breaker.admit(due);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            let results: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
            results.iter().filter(|result| result.is_ok()).count()
        });
        assert_eq!(admitted, 1);
    }
}
