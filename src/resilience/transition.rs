//! What is there to tell operators about a circuit?

use std::time::Duration;

/// The circuit as operators see it, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// One call at a time finds out whether the backend is well again.
    HalfOpen,
    /// Calls are refused.
    Open,
}

impl BreakerState {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A change of the circuit worth telling operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Calls are refused from now on.
    Tripped {
        /// Why.
        cause: Cause,
        /// For how long, jitter included.
        open_for: Duration,
    },
    /// Calls pass again.
    Reset,
}

/// Why a circuit tripped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Too many failures in a row.
    Streak,
    /// Too small a share of successes in the window.
    Rate,
    /// The probe was not answered, or turned away.
    Probe,
}

impl Cause {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Streak => "streak",
            Self::Rate => "rate",
            Self::Probe => "probe",
        }
    }
}
