//! Why a call did not get its answer: what happened, whether it may have run, when to try again.

use std::fmt;
use std::time::Duration;

use crate::resilience::{Reason, Refused};
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
    /// There is no connection, or the backend does not serve the gateway.
    Unavailable,
    /// The breaker refuses.
    CircuitOpen,
    /// All places are taken, or the backend asked for a pause.
    Busy,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer.
    Lost,
    /// The backend answered with something that is no MCP answer.
    Malformed,
    /// A person has to let the gateway in first.
    NotConnected,
    /// The caller's own grant is refused or cannot be renewed. It says nothing of what others meet.
    NotAuthorized,
}

/// A call that ended without the backend's answer.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What kept the answer away.
    pub kind: FailureKind,
    /// Whether the call may have run.
    pub sent: Sent,
    /// For people; names no secret. What it quotes of the backend's words may repeat arguments.
    pub message: String,
    /// The message as it may be logged, where that is another.
    pub(super) unquoted: Option<String>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The HTTP status behind it, if there was one.
    pub(super) http_status: Option<u16>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, sent: Sent, message: impl Into<String>) -> Self {
        Self { kind, sent, message: message.into(), unquoted: None, retry_after: None, http_status: None }
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

    /// The breaker gave no leave; nothing was written.
    pub(super) fn refused(refused: Refused) -> Self {
        let kind = match refused.reason {
            Reason::Open | Reason::Probing => FailureKind::CircuitOpen,
            Reason::RateLimited => FailureKind::Busy,
        };
        Self::new(kind, Sent::No, refused.to_string()).retry_after(Some(refused.retry_after))
    }

    /// The same failure, worth trying again after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same failure, of a call that repeats one that failed like `first`: either may have run.
    #[must_use]
    pub fn after(mut self, first: Option<&Failure>) -> Self {
        if first.is_some_and(|first| first.sent == Sent::Maybe) {
            self.sent = Sent::Maybe;
        }
        self
    }

    /// The same failure, with what the backend says of it, if it says anything.
    #[must_use]
    pub(super) fn saying(mut self, reason: Option<String>) -> Self {
        if let Some(reason) = reason {
            let unquoted = std::mem::take(&mut self.message);
            self.message = format!("{unquoted}; it says: {reason}");
            self.unquoted.get_or_insert(unquoted);
        }
        self
    }

    /// The message for the log. It quotes nothing that the backend said, which may hold what the client sent.
    pub fn unquoted(&self) -> &str {
        self.unquoted.as_deref().unwrap_or(&self.message)
    }

    /// The same failure, with the HTTP status behind it.
    #[must_use]
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Whether the backend itself asked to be left alone for a while: it lives.
    pub(super) fn is_rate_limit(&self) -> bool {
        self.kind == FailureKind::Busy && self.http_status.is_some()
    }

    /// How metrics count it.
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            FailureKind::Timeout => Outcome::Timeout,
            FailureKind::Lost | FailureKind::Malformed => Outcome::Lost,
            FailureKind::Unavailable
            | FailureKind::CircuitOpen
            | FailureKind::Busy
            | FailureKind::NotConnected
            | FailureKind::NotAuthorized => Outcome::Rejected,
        }
    }

    /// The stable word a model or a program can act on.
    pub fn error(&self) -> &'static str {
        match self.kind {
            FailureKind::Unavailable | FailureKind::NotAuthorized => "backend_unavailable",
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
