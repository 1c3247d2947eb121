//! When is it of no use to start a process once more, for now?

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::backoff::doubled;
use super::settings::RestartSettings;

/// Crashes within [`WITHIN`] that lead to a hold. No process is started more often than that in a minute.
const CRASHES: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// How many times as long as the first hold the longest is; each is twice as long as the one before.
const GROWTH: u32 = 10;

/// The crashes of one backend's processes.
#[derive(Debug)]
pub struct CrashLoop {
    recent: VecDeque<Instant>,
    /// The first hold, and the next.
    first: Duration,
    next: Duration,
    until: Option<Instant>,
}

impl CrashLoop {
    /// None so far.
    pub fn new(settings: &RestartSettings) -> Self {
        Self {
            recent: VecDeque::with_capacity(CRASHES),
            first: settings.hold,
            next: settings.hold,
            until: None,
        }
    }

    /// Notes that a process ended by itself, or had to be ended because it could not be used.
    pub fn crashed(&mut self, now: Instant) {
        let longest = self.first.saturating_mul(GROWTH);
        let is_long_ago = |last: &Instant| now.duration_since(*last) > longest.saturating_add(WITHIN);
        if self.recent.back().is_some_and(is_long_ago) {
            self.next = self.first;
        }
        self.recent.retain(|crash| now.duration_since(*crash) < WITHIN);
        self.recent.push_back(now);
        if self.recent.len() >= CRASHES {
            self.until = Some(now + self.next);
            self.next = doubled(self.next, longest);
            self.recent.drain(..CRASHES - 1);
        }
    }

    /// How long nothing is to be started yet.
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Ends the hold: somebody says that it is worth another try.
    pub fn release(&mut self) {
        self.recent.clear();
        (self.next, self.until) = (self.first, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FIRST: Duration = Duration::from_secs(60);

    fn none() -> CrashLoop {
        CrashLoop::new(&RestartSettings::default())
    }

    /// Starts whenever it may, `wait` after each crash; says when.
    fn starts(mut wait: impl FnMut(usize) -> Duration, length: Duration) -> Vec<Duration> {
        let (begin, mut crashes, mut starts) = (Instant::now(), none(), Vec::new());
        let mut now = begin;
        while now < begin + length {
            starts.push(now - begin);
            crashes.crashed(now);
            now += crashes.held_for(now).unwrap_or_default().max(wait(starts.len()));
        }
        starts
    }

    #[test]
    fn there_are_never_more_than_five_starts_in_a_minute() {
        for millis in [0, 1, 200, 14_999, 15_001] {
            let starts = starts(
                |n| Duration::from_millis(if n % 2 == 0 { millis } else { millis / 2 }),
                SECOND * 3600,
            );
            let worst = starts
                .iter()
                .map(|from| starts.iter().filter(|at| (*from..*from + WITHIN).contains(*at)).count());
            assert!(worst.max() <= Some(CRASHES), "{millis}");
        }
    }

    #[test]
    fn holds_grow_up_to_the_longest() {
        let starts = starts(|_| Duration::ZERO, SECOND * 7200);
        let gaps: Vec<_> =
            starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).filter(|gap| *gap > 0).collect();
        assert_eq!(gaps[..5], [60, 120, 240, 480, 600]);
        assert!(gaps[5..].iter().all(|gap| *gap == 600));
    }

    #[test]
    fn crashes_far_apart_hold_nothing() {
        assert!(
            starts(|_| SECOND * 16, SECOND * 3600).windows(2).all(|pair| pair[1] - pair[0] == SECOND * 16)
        );
    }

    #[test]
    fn a_release_ends_the_hold_at_once_and_the_next_one_is_short_again() {
        let (mut crashes, now) = (none(), Instant::now());
        (0..5).for_each(|_| crashes.crashed(now));
        assert_eq!(crashes.held_for(now), Some(FIRST));
        assert_eq!(crashes.held_for(now + FIRST), None);
        crashes.release();
        assert_eq!(crashes.held_for(now), None);
        (0..5).for_each(|_| crashes.crashed(now));
        assert_eq!(crashes.held_for(now), Some(FIRST));
    }
}
