//! How soon is a backend asked again what it offers, after it said that it changed?
//!
//! At once while that is news. One that says so all the time would have everybody's lists made anew and every client
//! told, several times a second.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Changes that are looked at without a wait, and in what time.
const BURST: usize = 5;
const PERIOD: Duration = Duration::from_secs(10);

/// The same for looks that clients' lists ask for: a client without the gateway would take as many.
const DEMAND_BURST: usize = 40;

/// The looks in the last period. Only looks that were taken count, so the next one is never further away than a period.
#[derive(Debug)]
pub(super) struct Pace {
    looks: VecDeque<Instant>,
    burst: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { looks: VecDeque::new(), burst: BURST }
    }
}

impl Pace {
    /// For what clients ask for.
    pub(super) fn of_demand() -> Self {
        Self { burst: DEMAND_BURST, ..Self::default() }
    }

    /// When a look that is due at `at` may be taken.
    pub(super) fn earliest(&self, at: Instant) -> Instant {
        let oldest = self.looks.front().filter(|_| self.looks.len() >= self.burst);
        oldest.map_or(at, |oldest| at.max(*oldest + PERIOD))
    }

    /// Counts a look that is taken.
    pub(super) fn take(&mut self, now: Instant) {
        if self.looks.len() >= self.burst {
            self.looks.pop_front();
        }
        self.looks.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_changes_are_news_and_many_are_looked_at_one_by_one() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut take = |at| {
            let at = pace.earliest(at);
            pace.take(at);
            at
        };
        assert!((0..BURST).all(|_| take(start) == start));
        let mut now = start;
        for _ in 0..100 {
            now = take(now);
        }
        assert_eq!(now - start, PERIOD * 100 / BURST as u32);
        let later = now + PERIOD;
        assert!((0..BURST).all(|_| take(later) == later));
    }

    #[test]
    fn a_look_that_is_not_taken_does_not_count() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        (0..BURST).for_each(|_| pace.take(start));
        assert!((0..1_000).all(|_| pace.earliest(start) == start + PERIOD));
    }
}
