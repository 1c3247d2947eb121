//! Why a call did not get its answer: what happened, whether it may have run, when to try again.

use std::fmt;
use std::time::Duration;

use crate::resilience::Verdict;
use crate::telemetry::Outcome;

/// Whether the backend may have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing was written: trying again repeats nothing.
    No,
    /// At least the first byte was written.
    Maybe,
}

/// What kept the answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no connection, or the backend said it cannot serve now.
    Unavailable,
    /// The breaker refuses.
    CircuitOpen,
    /// All places are taken.
    Busy,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer.
    Lost,
    /// The backend answered with something that is no MCP answer.
    Malformed,
    /// A person has to let the gateway in first.
    NotConnected,
}

/// A call that ended without the backend's answer.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What kept the answer away.
    pub kind: FailureKind,
    /// Whether the call may have run.
    pub sent: Sent,
    /// For people; names no argument and no secret.
    pub message: String,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The backend asked for fewer requests (HTTP 429).
    pub rate_limited: bool,
    /// The HTTP status behind it, if there was one.
    pub(super) http_status: Option<u16>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, sent: Sent, message: impl Into<String>) -> Self {
        Self {
            kind,
            sent,
            message: message.into(),
            retry_after: None,
            rate_limited: false,
            http_status: None,
        }
    }

    /// Nothing was written.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, Sent::No, message)
    }

    /// The connection ended.
    pub fn lost(sent: Sent, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Lost, sent, message)
    }

    /// The backend's answer cannot be understood.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Malformed, Sent::Maybe, message)
    }

    /// No answer within `limit`.
    pub fn timeout(sent: Sent, limit: Duration) -> Self {
        let limit = humantime::format_duration(limit);
        Self::new(FailureKind::Timeout, sent, format!("no answer in {limit}"))
    }

    /// The same failure, worth trying again after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same failure, with the HTTP status behind it.
    #[must_use]
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// What the breaker learns from it.
    pub fn verdict(&self) -> Verdict {
        match self.kind {
            _ if self.rate_limited => Verdict::RateLimited { retry_after: self.retry_after },
            FailureKind::Busy | FailureKind::CircuitOpen | FailureKind::NotConnected => Verdict::Neutral,
            _ => Verdict::Failure,
        }
    }

    /// How metrics count it.
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            FailureKind::Timeout => Outcome::Timeout,
            FailureKind::Lost | FailureKind::Malformed => Outcome::Lost,
            FailureKind::Unavailable
            | FailureKind::CircuitOpen
            | FailureKind::Busy
            | FailureKind::NotConnected => Outcome::Rejected,
        }
    }

    /// The stable word a model or a program can act on.
    pub fn error(&self) -> &'static str {
        match self.kind {
            FailureKind::Unavailable => "backend_unavailable",
            FailureKind::CircuitOpen => "circuit_open",
            FailureKind::Busy => "backend_busy",
            FailureKind::Timeout => "tool_timeout",
            FailureKind::Lost => "backend_lost",
            FailureKind::Malformed => "tool_error",
            FailureKind::NotConnected => "not_connected",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.sent {
            Sent::No => Ok(()),
            Sent::Maybe => f.write_str("; the call may have run"),
        }
    }
}

impl std::error::Error for Failure {}
