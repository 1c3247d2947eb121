//! May one more call be made again, or would that only add to the load of a backend that is ill?
//!
//! Every call earns a part of a retry, and so does every moment: in any stretch of time a backend sees
//! `share` of its calls and `per_second` retries a second, and not more than a handful beyond that.

use std::time::{Duration, Instant};

use super::settings::RetrySettings;

/// Thousandths of a retry.
const ONE: u64 = 1000;
/// Retries kept from quiet times for a burst.
const KEPT: u64 = 10;

/// How many retries one backend's calls have left.
#[derive(Debug)]
pub struct RetryBudget {
    /// What a call earns, in thousandths.
    share: u64,
    per_second: u64,
    /// What is left, in thousandths.
    left: u64,
    /// Up to when time has earned.
    earned_to: Option<Instant>,
}

impl RetryBudget {
    /// A budget that begins with one second's retries.
    pub fn new(settings: &RetrySettings) -> Self {
        let per_second = u64::from(settings.per_second);
        Self {
            share: (settings.share.clamp(0.0, 1.0) * ONE as f64).round() as u64,
            per_second,
            left: per_second * ONE,
            earned_to: None,
        }
    }

    /// Counts a call that is made for the first time.
    pub fn earn(&mut self, now: Instant) {
        self.pass(now);
        self.put(self.share);
    }

    /// Takes leave for one retry; `false` if there is none left.
    pub fn take(&mut self, now: Instant) -> bool {
        self.pass(now);
        let enough = self.left >= ONE;
        if enough {
            self.left -= ONE;
        }
        enough
    }

    /// Earns what whole milliseconds earn. A `now` from before the last one earns nothing.
    fn pass(&mut self, now: Instant) {
        let since = *self.earned_to.get_or_insert(now);
        let millis = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        self.put(millis.saturating_mul(self.per_second));
        self.earned_to = since.checked_add(Duration::from_millis(millis)).or(Some(now));
    }

    fn put(&mut self, earned: u64) {
        let most = self.per_second.max(KEPT) * ONE;
        // Nothing is kept for an operator who allows none.
        let most = if self.share + self.per_second == 0 { 0 } else { most };
        self.left = self.left.saturating_add(earned).min(most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(share: f64, per_second: u32) -> RetryBudget {
        RetryBudget::new(&RetrySettings { share, per_second })
    }

    fn taken(budget: &mut RetryBudget, now: Instant) -> usize {
        (0..1000).take_while(|_| budget.take(now)).count()
    }

    #[test]
    fn it_begins_with_a_seconds_worth_and_earns_as_much_with_every_second() {
        let (mut budget, start) = (budget(0.2, 3), Instant::now());
        assert_eq!(taken(&mut budget, start), 3);
        assert_eq!(taken(&mut budget, start + Duration::from_millis(333)), 0);
        assert_eq!(taken(&mut budget, start + Duration::from_millis(334)), 1);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(3600)), 10);
    }

    #[test]
    fn five_calls_earn_one_retry() {
        let (mut budget, now) = (budget(0.2, 0), Instant::now());
        (0..4).for_each(|_| budget.earn(now));
        assert_eq!(taken(&mut budget, now), 0);
        budget.earn(now);
        assert_eq!(taken(&mut budget, now), 1);
    }

    #[test]
    fn a_budget_of_nothing_stays_so() {
        let (mut budget, now) = (budget(0.0, 0), Instant::now());
        budget.earn(now);
        assert_eq!(taken(&mut budget, now + Duration::from_secs(86_400)), 0);
    }

    #[test]
    fn a_clock_that_steps_back_earns_nothing_twice() {
        let (mut budget, start) = (budget(0.0, 3), Instant::now());
        assert_eq!(taken(&mut budget, start + Duration::from_secs(1)), 3);
        assert_eq!(taken(&mut budget, start), 0);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(1)), 0);
    }

    proptest! {
        #[test]
        fn however_calls_come_retries_stay_within_share_rate_and_what_was_kept(
            pauses in prop::collection::vec(prop_oneof![0u64..5, 0u64..2000], 1..300),
        ) {
            let (mut budget, start) = (budget(0.2, 3), Instant::now());
            let (mut millis, mut calls, mut retries) = (0u64, 0u64, 0u64);
            for pause in pauses {
                millis += pause;
                let now = start + Duration::from_millis(millis);
                budget.earn(now);
                calls += 1;
                // Every call fails, and would be made again.
                retries += u64::from(budget.take(now));
                prop_assert!(retries * 1000 <= calls * 200 + millis * 3 + 3000);
            }
        }
    }
}
