//! What does the end of a call say about the backend?

use std::time::Duration;

/// What an answer, or its absence, says about the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered; ends a streak of failures.
    Success,
    /// It did not answer, or not sensibly.
    Failure,
    /// It refused for now: counts against the rate and leaves the streak as it is.
    RateLimited {
        /// How long it wants to be left alone; honoured up to an hour.
        retry_after: Option<Duration>,
    },
    /// Nothing: the call was cancelled, never sent, or wrong in itself.
    Neutral,
}
