//! Which of several replicas does worse than the others, and is left out for a while?
//!
//! A breaker judges a backend by itself; among replicas one that fails a fifth of its calls stands out long before it
//! fails half of them. Never more than half are left out: whatever ails most of them is not theirs alone.

use std::time::Instant;

use super::backoff::doubled;
use super::settings::BreakerSettings;
use super::wait::Wait;
use super::window::{Counts, Window};

/// How far under the others' share of successes a replica's own must be.
const WORSE_BY: f64 = 0.2;

/// The replicas of one backend, by their place in its list.
#[derive(Debug)]
pub struct Outliers {
    settings: BreakerSettings,
    replicas: Vec<Replica>,
}

#[derive(Debug)]
struct Replica {
    window: Window,
    ejected: Option<Wait>,
    /// How long it is left out the next time.
    period: std::time::Duration,
}

impl Outliers {
    /// `count` replicas, none of which stands out. Window, calls needed and periods are those of the breaker.
    pub fn new(settings: &BreakerSettings, count: usize) -> Self {
        let replica = || Replica {
            window: Window::new(settings.window),
            ejected: None,
            period: settings.open.min(settings.max_open),
        };
        Self { settings: settings.clone(), replicas: (0..count).map(|_| replica()).collect() }
    }

    /// Whether the replica is left out now.
    pub fn is_ejected(&self, at: usize, now: Instant) -> bool {
        self.replicas.get(at).is_some_and(|replica| replica.is_ejected(now))
    }

    /// Counts how a call ended at a replica; `true` if it is left out from now on.
    pub fn record(&mut self, at: usize, success: bool, now: Instant) -> bool {
        let Some(replica) = self.replicas.get_mut(at) else { return false };
        if success {
            replica.window.success(now);
            return false;
        }
        replica.window.failure(now);
        if !self.stands_out(at, now) || !self.may_eject(now) {
            return false;
        }
        let longest = self.settings.max_open;
        let Some(replica) = self.replicas.get_mut(at) else { return false };
        replica.ejected = Some(Wait::new(now, replica.period));
        replica.period = doubled(replica.period, longest);
        // What it did before says nothing of what it will be like after.
        replica.window = Window::new(self.settings.window);
        true
    }

    /// Whether it has made enough calls, so have others, and theirs went better.
    fn stands_out(&mut self, at: usize, now: Instant) -> bool {
        let enough = self.settings.min_calls;
        let counts: Vec<Counts> =
            self.replicas.iter_mut().map(|replica| replica.window.counts(now)).collect();
        let others =
            counts.iter().enumerate().filter(|(other, counts)| *other != at && counts.total() >= enough);
        let rates: Vec<f64> = others.map(|(_, counts)| counts.success_rate()).collect();
        let own = counts[at];
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        own.total() >= enough && !rates.is_empty() && own.success_rate() < mean - WORSE_BY
    }

    fn may_eject(&self, now: Instant) -> bool {
        let out = self.replicas.iter().filter(|replica| replica.is_ejected(now)).count();
        2 * (out + 1) <= self.replicas.len()
    }
}

impl Replica {
    fn is_ejected(&self, now: Instant) -> bool {
        self.ejected.is_some_and(|wait| !wait.is_over(now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn outliers(count: usize) -> Outliers {
        Outliers::new(&BreakerSettings { min_calls: 10, ..BreakerSettings::default() }, count)
    }

    /// Ten calls at each of the replicas, of which so many fail.
    fn play(outliers: &mut Outliers, failures: &[u32], now: Instant) -> Vec<bool> {
        for call in 0..10 {
            for (at, failures) in failures.iter().enumerate() {
                outliers.record(at, call >= *failures, now);
            }
        }
        // The last word of those that fail.
        for (at, failures) in failures.iter().enumerate().filter(|(_, failures)| **failures > 0) {
            outliers.record(at, *failures == 0, now);
        }
        (0..failures.len()).map(|at| outliers.is_ejected(at, now)).collect()
    }

    #[test]
    fn the_one_that_does_worse_is_left_out_for_a_while_and_longer_each_time() {
        let (mut outliers, now) = (outliers(3), Instant::now());
        assert_eq!(play(&mut outliers, &[0, 4, 0], now), [false, true, false]);
        assert!(outliers.is_ejected(1, now + Duration::from_millis(999)));
        let back = now + Duration::from_secs(1);
        assert!(!outliers.is_ejected(1, back));
        assert_eq!(play(&mut outliers, &[0, 4, 0], back), [false, true, false]);
        assert!(outliers.is_ejected(1, back + Duration::from_millis(1999)));
    }

    #[test]
    fn what_ails_all_of_them_leaves_nobody_out() {
        let (mut outliers, now) = (outliers(3), Instant::now());
        assert_eq!(play(&mut outliers, &[5, 5, 5], now), [false, false, false]);
    }

    #[test]
    fn a_replica_is_judged_after_enough_calls_and_never_alone() {
        let (mut few, now) = (outliers(2), Instant::now());
        (0..9).for_each(|_| assert!(!few.record(0, false, now)));
        let mut one = outliers(1);
        (0..50).for_each(|_| assert!(!one.record(0, false, now)));
        assert!(!one.record(7, false, now), "there is no such replica");
    }

    proptest! {
        #[test]
        fn never_more_than_half_are_left_out(
            count in 1usize..7,
            calls in prop::collection::vec((0usize..7, any::<bool>(), 0u64..50), 1..600),
        ) {
            let (mut outliers, mut now) = (outliers(count), Instant::now());
            for (at, success, pause) in calls {
                now += Duration::from_millis(pause);
                // The first does badly, the others as it comes.
                outliers.record(at, success && at != 0, now);
                let out = (0..count).filter(|at| outliers.is_ejected(*at, now)).count();
                prop_assert!(2 * out <= count);
            }
        }
    }
}
