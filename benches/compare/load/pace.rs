//! When is the next request due, and when is it over?

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Arguments, since};

/// Shared by all connections.
pub(crate) struct Pace {
    start: Instant,
    warmup: Duration,
    end: Option<Instant>,
    count: u64,
    gap: Option<Duration>,
    taken: AtomicU64,
}

/// One request to be sent now.
pub(crate) struct Turn {
    /// Since when its client waits.
    pub(crate) since: Instant,
    /// Whether it is measured.
    pub(crate) counts: bool,
}

impl Pace {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let (start, warmup) = (Instant::now(), Duration::from_secs_f64(arguments.warmup));
        let whole = warmup + Duration::from_secs_f64(arguments.seconds);
        Self {
            start,
            warmup,
            end: arguments.count.is_none().then(|| start + whole),
            count: arguments.count.unwrap_or(u64::MAX),
            gap: arguments.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            taken: AtomicU64::new(0),
        }
    }

    /// Waits until a request is due; `None` once there is none any more.
    ///
    /// At a fixed rate a request counts from when it was due, however long all connections were busy then.
    /// A thread that was waiting and is woken late is this client's own delay, and is not counted.
    pub(crate) fn turn(&self) -> Option<Turn> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.count {
            return None;
        }
        let due = match self.gap {
            Some(gap) => self.start + gap.mul_f64(number as f64),
            None => Instant::now(),
        };
        if self.end.is_some_and(|end| due >= end) {
            return None;
        }
        let wait = due.saturating_duration_since(Instant::now());
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread of its own, and more exact than a runtime's timer"
        )]
        let waited = (!wait.is_zero()).then(|| std::thread::sleep(wait));
        let since = if waited.is_some() { Instant::now() } else { due };
        Some(Turn { since, counts: due >= self.start + self.warmup })
    }

    /// How long was measured.
    pub(crate) fn elapsed(&self) -> Duration {
        since(self.start + self.warmup)
    }
}
