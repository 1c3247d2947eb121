//! When does a closed circuit trip?

use std::time::{Duration, Instant};

use super::settings::BreakerSettings;
use super::transition::Cause;
use super::verdict::Verdict;
use super::window::Window;

/// What is counted while calls are let through.
#[derive(Debug)]
pub(super) struct Closed {
    /// Failures since the last success.
    streak: u32,
    window: Window,
}

impl Closed {
    pub(super) fn new(window: Duration) -> Self {
        Self { streak: 0, window: Window::new(window) }
    }

    /// Counts a verdict and says whether, and why, the circuit is to trip.
    pub(super) fn count(
        &mut self,
        verdict: Verdict,
        settings: &BreakerSettings,
        now: Instant,
    ) -> Option<Cause> {
        match verdict {
            Verdict::Neutral => return None,
            Verdict::Success => {
                self.streak = 0;
                self.window.success(now);
                return None;
            }
            Verdict::Failure => {
                self.streak = self.streak.saturating_add(1);
                self.window.failure(now);
                if self.streak >= settings.failures {
                    return Some(Cause::Streak);
                }
            }
            Verdict::RateLimited { .. } => self.window.failure(now),
        }
        let counts = self.window.counts(now);
        let too_low = counts.success_rate() < settings.success_rate;
        (too_low && counts.total() >= settings.min_calls).then_some(Cause::Rate)
    }
}
