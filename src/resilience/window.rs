//! How did the calls of the last seconds end?

use std::time::{Duration, Instant};

const BUCKETS: usize = 10;

/// How many calls ended well and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls the backend answered.
    pub successes: u32,
    /// Calls it failed or refused.
    pub failures: u32,
}

impl Counts {
    /// Successes and failures together.
    pub fn total(self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    /// Share of successes, 0 to 1; 1 while nothing is counted.
    pub fn success_rate(self) -> f64 {
        let total = f64::from(self.successes) + f64::from(self.failures);
        if total == 0.0 {
            return 1.0;
        }
        f64::from(self.successes) / total
    }
}

/// Exact counts over a sliding stretch of time, kept in ten buckets.
///
/// Time is cut into tenths of the length, starting with the first record; the window is the tenth
/// of `now` and the nine before it. Nothing is averaged or decayed, so what an operator counts in
/// the log is what the breaker counted.
#[derive(Debug, Clone)]
pub struct Window {
    width: u128,
    origin: Option<Instant>,
    newest: u128,
    buckets: [Counts; BUCKETS],
}

impl Window {
    /// An empty window. A length under ten nanoseconds counts as ten.
    pub fn new(length: Duration) -> Self {
        Self {
            width: (length.as_nanos() / BUCKETS as u128).max(1),
            origin: None,
            newest: 0,
            buckets: [Counts::default(); BUCKETS],
        }
    }

    /// Counts a call that ended well.
    pub fn success(&mut self, now: Instant) {
        let bucket = self.bucket(now);
        bucket.successes = bucket.successes.saturating_add(1);
    }

    /// Counts a call that did not end well.
    pub fn failure(&mut self, now: Instant) {
        let bucket = self.bucket(now);
        bucket.failures = bucket.failures.saturating_add(1);
    }

    /// What is in the window at `now`.
    pub fn counts(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            successes: sum.successes.saturating_add(bucket.successes),
            failures: sum.failures.saturating_add(bucket.failures),
        })
    }

    fn bucket(&mut self, now: Instant) -> &mut Counts {
        self.advance(now);
        &mut self.buckets[slot(self.newest)]
    }

    /// Empties the buckets that fell out of the window. A `now` from before the newest bucket
    /// (callers race for the lock) moves nothing back: it counts as the newest.
    fn advance(&mut self, now: Instant) {
        let origin = *self.origin.get_or_insert(now);
        let current = now.saturating_duration_since(origin).as_nanos() / self.width;
        let entered = current.saturating_sub(self.newest).min(BUCKETS as u128);
        for back in 0..entered {
            self.buckets[slot(current - back)] = Counts::default();
        }
        self.newest = self.newest.max(current);
    }
}

fn slot(bucket: u128) -> usize {
    (bucket % BUCKETS as u128) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every call with the tenth it fell into, and a sum over all of them.
    fn naive(calls: &[(u64, bool)], now: u64, width: u64) -> Counts {
        let origin = calls.first().map_or(now, |call| call.0);
        let tenth = |at: u64| (at - origin) / width;
        let recent = calls.iter().copied().filter(|call| tenth(call.0) + 10 > tenth(now));
        let (good, bad): (Vec<_>, Vec<_>) = recent.partition(|call| call.1);
        Counts { successes: good.len() as u32, failures: bad.len() as u32 }
    }

    proptest! {
        #[test]
        fn counts_equal_those_of_a_list_of_all_calls(
            width in 1u64..50,
            steps in prop::collection::vec((prop_oneof![0u64..20, 0u64..700], any::<bool>()), 1..200),
        ) {
            let start = Instant::now();
            let mut window = Window::new(Duration::from_millis(width * 10));
            let mut calls = Vec::new();
            let mut now = 0;
            for (pause, good) in steps {
                now += pause;
                let at = start + Duration::from_millis(now);
                prop_assert_eq!(window.clone().counts(at), naive(&calls, now, width));
                if good { window.success(at) } else { window.failure(at) }
                calls.push((now, good));
                prop_assert_eq!(window.counts(at), naive(&calls, now, width));
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_loses_no_count() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10));
        window.success(start);
        window.success(start + Duration::from_secs(5));
        window.failure(start + Duration::from_secs(2));
        let counts = window.counts(start + Duration::from_secs(5));
        assert_eq!((counts.successes, counts.failures), (2, 1));
    }

    #[test]
    fn extreme_lengths_neither_panic_nor_divide_by_zero() {
        let later = Instant::now() + Duration::from_secs(86_400);
        for length in [Duration::ZERO, Duration::MAX] {
            let mut window = Window::new(length);
            window.failure(Instant::now());
            window.failure(later);
            assert!(window.counts(later).failures >= 1);
        }
    }

    #[test]
    fn an_empty_window_has_no_bad_rate() {
        assert!((Counts::default().success_rate() - 1.0).abs() < f64::EPSILON);
    }
}
