//! Which failed attempts to reach a backend are worth a warning?
//!
//! A backend that is down is tried again for ever. What an operator has to know is each reason once, and now and then
//! that it is still so.

use std::time::{Duration, Instant};

/// After this long a reason is logged again.
const REMINDER: Duration = Duration::from_secs(600);
/// Reasons that are told apart during one outage.
const MAX_REASONS: usize = 8;

/// The reasons of one outage.
#[derive(Debug, Default)]
pub(super) struct OutageLog {
    logged: Vec<(String, Instant)>,
    left_out: u32,
}

impl OutageLog {
    /// Takes a failed attempt. To be logged, with the number of attempts since the last line, if it returns one.
    pub(super) fn failed(&mut self, reason: &str, now: Instant) -> Option<u32> {
        // Ports, process ids and durations change with each attempt and are no news.
        let reason: String = reason.chars().filter(|character| !character.is_ascii_digit()).collect();
        let known = self.logged.iter().position(|(logged, _)| *logged == reason);
        let is_logged = match known {
            Some(at) => now.duration_since(self.logged[at].1) >= REMINDER,
            None => self.logged.len() < MAX_REASONS,
        };
        if !is_logged {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        known.map(|at| self.logged.swap_remove(at));
        self.logged.push((reason, now));
        Some(std::mem::take(&mut self.left_out))
    }

    /// The backend is well again.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_once_and_again_when_it_lasts() {
        let (mut log, start) = (OutageLog::default(), Instant::now());
        assert_eq!(log.failed("nothing listens on port 4001", start), Some(0));
        assert!(
            (4002..4100).all(|port| log.failed(&format!("nothing listens on port {port}"), start).is_none())
        );
        assert_eq!(log.failed("HTTP 500", start), Some(98));
        assert_eq!(log.failed("nothing listens on port 1", start + REMINDER), Some(0));
        log.over();
        assert_eq!(log.failed("nothing listens on port 1", start), Some(0));
    }

    #[test]
    fn a_backend_that_invents_reasons_is_bounded() {
        let (mut log, start) = (OutageLog::default(), Instant::now());
        let logged = (0..1000u32).filter(|n| log.failed(&"x".repeat(*n as usize), start).is_some()).count();
        assert_eq!(logged, MAX_REASONS);
    }
}
