//! How a backend is now.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;

use crate::telemetry::backends::BackendState as Label;

use super::connection::Connection;
use super::{Connections, Failure};

/// Least time after which trying again is advised: an attempt may be under way.
const SOON: Duration = Duration::from_millis(100);

/// Where the supervisor stands.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// The first attempt is under way: a call may wait for it.
    #[default]
    Connecting,
    /// Connected, and everything it offers was fetched.
    Ready(Ready),
    /// Not reachable; tried again at `retry_at`.
    Down {
        /// Why, for people.
        reason: String,
        /// When the next attempt starts; none while what is left of the last one is being stopped.
        retry_at: Option<Instant>,
    },
    /// The gateway is stopping, or the backend was taken out.
    Stopped,
}

/// A live connection, which only this room can use.
#[derive(Debug, Clone)]
pub struct Ready(pub(super) Arc<Connection>);

impl State {
    /// Its word in `/status` and metrics.
    pub fn label(&self) -> Label {
        match self {
            Self::Connecting => Label::Connecting,
            Self::Ready(_) => Label::Ready,
            Self::Down { .. } => Label::Down,
            Self::Stopped => Label::Stopped,
        }
    }

    /// The connection, unless it has just been lost.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn connection(&self) -> Result<Arc<Connection>, Failure> {
        match self {
            Self::Ready(Ready(connection)) if connection.signals().is_lost() => {
                Err(Failure::unavailable(format!("the backend is down: {}", connection.signals().reason())))
            }
            Self::Ready(Ready(connection)) => Ok(Arc::clone(connection)),
            other => Err(other.refusal()),
        }
    }

    /// How far it is from taking calls; what is to be tried again sooner is nearer.
    pub(super) fn distance(&self) -> (u8, Option<Instant>) {
        match self {
            Self::Ready(_) if self.connection().is_ok() => (0, None),
            Self::Connecting => (1, None),
            Self::Ready(_) => (2, None),
            Self::Down { retry_at, .. } => (3, *retry_at),
            Self::Stopped => (4, None),
        }
    }

    /// Whether there will be no connection before `deadline`.
    pub(super) fn stays_so_until(&self, deadline: Instant) -> bool {
        match self {
            Self::Down { retry_at, .. } => retry_at.is_some_and(|at| at > deadline),
            Self::Stopped => true,
            Self::Connecting | Self::Ready(_) => false,
        }
    }

    /// Why a call cannot be sent now.
    pub(super) fn refusal(&self) -> Failure {
        match self {
            Self::Connecting | Self::Ready(_) => Failure::unavailable("the backend is still starting"),
            Self::Down { reason, retry_at } => {
                let wait = retry_at.map(|at| at.saturating_duration_since(Instant::now()).max(SOON));
                Failure::unavailable(format!("the backend is down: {reason}")).retry_after(wait)
            }
            Self::Stopped => Failure::unavailable("the backend is being stopped"),
        }
    }
}

/// Everything `/status` says about a backend.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// `connecting`, `ready`, `down` or `stopped`.
    pub state: &'static str,
    /// `stdio`, `http` or `sse`.
    pub transport: &'static str,
    /// `legacy` or `modern`, once known.
    pub era: Option<&'static str>,
    /// Protocol revision, once known.
    pub revision: Option<&'static str>,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Calls in flight.
    pub in_flight: usize,
    /// Which calls share a connection, and why.
    pub connections: Connections,
    /// Attempts to connect or launch it again, after it was lost or could not be reached.
    pub restarts: u64,
    /// Until the next attempt, while it is down.
    pub retry_after_ms: Option<u64>,
    /// Why its process is not started for now, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The last reason for being down.
    pub last_error: Option<String>,
    /// When everything it offers was last fetched, in seconds since 1970.
    pub fetched_at: Option<u64>,
    /// The line of those that says most about why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The last lines its process wrote to standard error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<String>,
    /// The same of each replica, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Snapshot>,
    /// Whether a replica is left out for a while because it does worse than the others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_ejected: bool,
}

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
