//! Which calls share a connection, and why?

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{ClientCapabilities, Era, LogLevel};
use crate::units;

use super::kept::{Holder, Key};
use super::{BackendSettings, TransportSettings};

/// A connection that one call at a time has for itself is closed after so long without use.
const IDLE: Duration = Duration::from_secs(60);
/// One with somebody's state on it may be come back to.
const IDLE_KEPT: Duration = Duration::from_secs(30 * 60);
/// A process is dear, a session is cheap.
const MAX_PROCESSES: u32 = 8;
const MAX_SESSIONS: u32 = 64;

/// Which calls share a connection to the backend.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionSettings {
    /// Who shares a connection. `shared` unless set: everybody, except that a client that can be asked
    /// something has one to itself for the length of each call. For servers that keep state: `per_principal`,
    /// `per_session` (clients that have no session share their principal's), `exclusive` (one call at a time).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ConnectionMode>,
    /// A connection beside the shared one is closed after so long without use; unless set 1 minute, or
    /// 30 minutes where it is kept for somebody.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<units::DurationText>")]
    pub idle: Option<Duration>,
    /// Connections beside the shared one; unless set 8 for a server that is a process each, 64 for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max: Option<u32>,
}

/// Who shares a connection; [`ConnectionSettings::mode`] says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[allow(missing_docs)]
pub enum ConnectionMode {
    Shared,
    PerPrincipal,
    PerSession,
    Exclusive,
}

impl ConnectionMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::PerPrincipal => "per_principal",
            Self::PerSession => "per_session",
            Self::Exclusive => "exclusive",
        }
    }
}

/// What `/status` says about it.
#[derive(Debug, Clone, Serialize)]
pub struct Connections {
    /// `shared`, `per_principal`, `per_session` or `exclusive`.
    pub mode: &'static str,
    /// Why that, for people.
    pub why: &'static str,
    /// Connections beside the shared one.
    pub open: usize,
    /// The most there can be.
    pub max: usize,
}

impl BackendSettings {
    /// As set; where each principal has a grant of its own, never one that several share.
    pub(super) fn mode(&self) -> ConnectionMode {
        match self.connections.mode {
            Some(ConnectionMode::PerSession) => ConnectionMode::PerSession,
            _ if self.has_personal_grants() => ConnectionMode::PerPrincipal,
            mode => mode.unwrap_or(ConnectionMode::Shared),
        }
    }

    pub(super) fn max_connections(&self) -> usize {
        let max = if self.is_stdio() { MAX_PROCESSES } else { MAX_SESSIONS };
        usize::try_from(self.connections.max.unwrap_or(max)).unwrap_or(usize::MAX)
    }

    pub(super) fn idle(&self) -> Duration {
        let kept = matches!(self.mode(), ConnectionMode::PerPrincipal | ConnectionMode::PerSession);
        self.connections.idle.unwrap_or(if kept { IDLE_KEPT } else { IDLE })
    }

    /// Whether each connection is a process of its own.
    pub(super) fn is_stdio(&self) -> bool {
        matches!(self.transport, TransportSettings::Stdio(_))
    }

    /// How connections are shared, as far as the era is known.
    pub(super) fn sharing(&self, era: Option<Era>, open: usize) -> Connections {
        Connections { mode: self.mode().as_str(), why: self.why(era), open, max: self.max_connections() }
    }

    fn why(&self, era: Option<Era>) -> &'static str {
        let is_personal = self.has_personal_grants();
        let is_stateless = era == Some(Era::Modern) && !self.is_stdio() && !is_personal;
        match self.connections.mode {
            None if is_personal => "not set: each principal has a grant of its own (`auth.granted_to`)",
            None if era == Some(Era::Modern) => "not set, and a modern server keeps nothing between calls",
            None => {
                "not set: fits a server that keeps nothing between calls; a client that can be asked something has a connection to itself during a call"
            }
            Some(ConnectionMode::Shared) => "as set",
            Some(_) if is_stateless => {
                "as set; only for clients of the legacy era, since modern requests over HTTP belong to no session"
            }
            Some(ConnectionMode::PerSession) => {
                "as set; clients of the modern era have no session and share their principal's"
            }
            Some(ConnectionMode::PerPrincipal | ConnectionMode::Exclusive) => "as set",
        }
    }
}

/// What a client brings to a call.
#[derive(Debug, Clone)]
pub struct Wants {
    /// The era it speaks.
    pub era: Era,
    /// What it can be asked.
    pub capabilities: ClientCapabilities,
    /// Whether it will tell when its roots change.
    pub tells_of_roots: bool,
    /// Who it is.
    pub principal: Arc<str>,
    /// The number of its session, if it has one.
    pub session: Option<u64>,
    /// The level of log messages that it asked for, if it did.
    pub log_level: Option<LogLevel>,
    /// The tool that is called, by the backend's own name.
    pub tool: Option<Arc<str>>,
    /// When the call was made that this one repeats; none for a call that is made for the first time.
    pub first_made: Option<tokio::time::Instant>,
    /// The replica that it belongs to, if it goes on with what was begun there.
    pub at: Option<String>,
    /// Whether no other replica knows of it.
    pub only_there: bool,
    /// The replica where the call that this one repeats came to nothing.
    pub not_at: Option<String>,
}

/// How a call comes to its connection.
#[derive(Debug, PartialEq)]
pub(super) enum Share {
    /// It uses the one that everybody uses.
    Everybody,
    /// It has one to itself, opened with its client's capabilities.
    OneCall(ClientCapabilities),
    /// It uses the one that is kept for its caller.
    Kept(Key),
}

impl Wants {
    /// `is_stateful` says whether the server would tell one connection from another.
    pub(super) fn share(&self, mode: ConnectionMode, is_stateful: bool, speaks_legacy: bool) -> Share {
        // A modern server is told with each request.
        let capabilities = if speaks_legacy { self.capabilities } else { ClientCapabilities::default() };
        let principal = || Holder::Principal(Arc::clone(&self.principal));
        let holder = match mode {
            _ if !is_stateful => return Share::Everybody,
            ConnectionMode::Shared if capabilities.is_empty() => return Share::Everybody,
            ConnectionMode::Shared | ConnectionMode::Exclusive => return Share::OneCall(capabilities),
            ConnectionMode::PerPrincipal => principal(),
            ConnectionMode::PerSession => self.session.map_or_else(principal, Holder::Session),
        };
        let tells = self.tells_of_roots && matches!(holder, Holder::Session(_));
        Share::Kept(Key { holder, capabilities: capabilities.telling_of_roots(tells) })
    }
}
