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

/// The looks in the last period.
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

    /// Counts a look that is due at `now`, and says when to take it.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let is_full = self.looks.len() >= self.burst;
        let earliest = if is_full { self.looks.pop_front().map(|first| first + PERIOD) } else { None };
        let at = earliest.map_or(now, |earliest| earliest.max(now));
        self.looks.push_back(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_changes_are_news_and_many_are_looked_at_one_by_one() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert!((0..BURST).all(|_| pace.next(start) == start));
        let mut now = start;
        for _ in 0..100 {
            now = pace.next(now);
        }
        assert_eq!(now - start, PERIOD * 100 / BURST as u32);
        let later = now + PERIOD;
        assert!((0..BURST).all(|_| pace.next(later) == later));
    }
}
