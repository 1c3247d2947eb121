//! How much of a wait is left?

use std::time::{Duration, Instant};

/// A stretch of time that began at some instant.
///
/// Kept as beginning and length, never as their sum: an instant plus a very long configured
/// duration can overflow, a difference that saturates cannot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wait {
    since: Instant,
    length: Duration,
}

impl Wait {
    /// A wait of `length` that begins at `now`.
    pub(super) fn new(now: Instant, length: Duration) -> Self {
        Self { since: now, length }
    }

    /// What is left of it: zero once it is over, all of it before it began.
    pub(super) fn left(&self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.since);
        self.length.saturating_sub(passed)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.left(now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_runs_down_to_zero_and_never_below() {
        let start = Instant::now();
        let wait = Wait::new(start + Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(wait.left(start), Duration::from_secs(3));
        assert_eq!(wait.left(start + Duration::from_secs(2)), Duration::from_secs(2));
        assert!(!wait.is_over(start + Duration::from_millis(3_999)));
        assert!(wait.is_over(start + Duration::from_secs(4)));
        assert!(wait.is_over(start + Duration::from_secs(9)));
    }

    #[test]
    fn the_longest_wait_does_not_overflow() {
        let start = Instant::now();
        let wait = Wait::new(start, Duration::MAX);
        assert!(!wait.is_over(start + Duration::from_secs(1)));
    }
}
