//! How long until the next attempt?

use std::time::Duration;

use super::jitter::jittered;
use super::settings::RestartSettings;

/// Waits that double up to a longest one, until [`reset`](Self::reset).
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    nominal: Duration,
}

impl Backoff {
    /// Starts at the first wait, or at the longest where that is shorter.
    pub fn new(settings: &RestartSettings) -> Self {
        Self::between(settings.backoff, settings.max_backoff)
    }

    /// The same, without settings.
    pub fn between(first: Duration, longest: Duration) -> Self {
        let first = first.min(longest);
        Self { first, longest, nominal: first }
    }

    /// The next wait: between half and all of the nominal one, which then doubles.
    ///
    /// `jitter` is a share of 0 to 1 ([`jitter()`](super::jitter())); 0 gives the nominal wait.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let wait = jittered(self.nominal, jitter);
        self.nominal = doubled(self.nominal, self.longest);
        wait
    }

    /// Back to the first wait: the backend is well again.
    pub fn reset(&mut self) {
        self.nominal = self.first;
    }
}

/// Twice the period, at most `longest`.
pub(super) fn doubled(period: Duration, longest: Duration) -> Duration {
    period.saturating_mul(2).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(first: Duration, longest: Duration) -> Backoff {
        Backoff::new(&RestartSettings { backoff: first, max_backoff: longest, ..RestartSettings::default() })
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = backoff(Duration::from_millis(200), Duration::from_secs(1));
        let waits: Vec<u128> = (0..5).map(|_| backoff.next(0.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 200);
    }

    #[test]
    fn jitter_shortens_a_wait_and_not_the_ones_after_it() {
        let mut backoff = backoff(Duration::from_secs(2), Duration::from_secs(60));
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
        assert_eq!(backoff.next(0.0), Duration::from_secs(4));
    }

    #[test]
    fn endless_failure_does_not_overflow() {
        let mut backoff = backoff(Duration::from_nanos(1), Duration::MAX);
        for _ in 0..200 {
            backoff.next(0.3);
        }
        assert_eq!(backoff.next(0.0), Duration::MAX);
    }

    #[test]
    fn a_first_wait_over_the_longest_is_cut_to_it() {
        let mut backoff = backoff(Duration::from_secs(9), Duration::from_secs(1));
        assert_eq!(backoff.next(0.0), Duration::from_secs(1));
    }
}
