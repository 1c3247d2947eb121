//! Why may a call not be sent now?

use std::time::Duration;

/// A call that must not be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}, try again in {} ms", .reason.as_str(), .retry_after.as_millis())]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// When it is worth trying again; a guess while a probe is under way.
    pub retry_after: Duration,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The circuit is open.
    Open,
    /// The circuit is half open and another call is the probe.
    Probing,
    /// The backend asked to be left alone with `Retry-After`.
    RateLimited,
}

impl Reason {
    /// The reason as the beginning of a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "circuit open after failures",
            Self::Probing => "circuit half open and its probe not answered yet",
            Self::RateLimited => "backend asked for a pause",
        }
    }
}
