//! How long to wait before a stream that a backend ended is opened again?

use std::time::Duration;

use tokio::time::Instant;

use crate::resilience::{Backoff, jitter};

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The waits between the attempts to open one stream.
#[derive(Debug)]
pub(super) struct Reopen {
    backoff: Backoff,
    begun: Instant,
}

impl Default for Reopen {
    fn default() -> Self {
        Self { backoff: Backoff::between(FIRST, LONGEST), begun: Instant::now() }
    }
}

impl Reopen {
    /// Says that an attempt begins now.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// The wait after an attempt: longer each time, unless its stream lived for longer than the longest.
    pub(super) fn pause(&mut self) -> Duration {
        if self.begun.elapsed() > LONGEST {
            self.backoff.reset();
        }
        self.backoff.next(jitter())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_however_long_it_fails_and_start_over_after_a_stream_that_lived() {
        let mut reopen = Reopen::default();
        let mut waited = Duration::ZERO;
        for _ in 0..20 {
            reopen.begin();
            waited = reopen.pause();
            advance(waited).await;
        }
        assert!(waited >= LONGEST / 2, "{waited:?}");
        reopen.begin();
        advance(LONGEST * 2).await;
        assert!(reopen.pause() <= FIRST);
    }
}
