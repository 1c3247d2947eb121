//! What a client's request looks like once its transport and era no longer matter.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::protocol::{LogLevel, RawJson, Revision, Routed, TraceContext};

use super::session::SessionId;

const ANONYMOUS: &str = "anonymous";

/// Who is calling. Later authentication methods add what they know here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The client that `clients:` calls `name`.
    pub fn named(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// Whoever can reach a gateway without `clients:`, or started it over stdio.
    pub fn anonymous() -> Self {
        Self(Arc::from(ANONYMOUS))
    }

    /// Its name in logs.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether it may be anybody.
    pub fn is_anonymous(&self) -> bool {
        &*self.0 == ANONYMOUS
    }
}

/// Ties a client's error, its log lines and its trace together; drawn by the server per request.
///
/// It is spelt only where it is shown: most requests succeed, and nobody reads theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    number: u64,
    /// Where the request came from, for logs.
    peer: Option<IpAddr>,
}

impl RequestId {
    /// The id with this number.
    pub fn new(number: u64) -> Self {
        Self { number, peer: None }
    }

    /// The same id, of a request that came from `peer`.
    #[must_use]
    pub fn from_peer(self, peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Where the request came from; unknown over standard input and output.
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req-{:016x}", self.number)
    }
}

/// What the router must know about the caller of one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// For logs and error data.
    pub request_id: RequestId,
    /// What the client speaks.
    pub revision: Revision,
    /// What the client declared it can do, with `initialize` or with this request.
    pub capabilities: RawJson,
    /// Its name and version, as far as the client says them in the form of MCP.
    pub client_info: Option<RawJson>,
    /// Its session, if it has one.
    pub session: Option<SessionId>,
    /// Least level of log notifications it wants with this request; none for none.
    pub log_level: Option<LogLevel>,
    /// The same, if the client asked for it: then legacy servers are told.
    pub asked_level: Option<LogLevel>,
    /// The client's progress token, if it wants progress.
    pub progress_token: Option<RawJson>,
    /// The trace that the request belongs to.
    pub trace: Option<Arc<TraceContext>>,
}

/// One request that a backend must answer.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Which of the routed methods.
    pub routed: Routed,
    /// The name of a vendor's method.
    pub vendor_method: Option<Arc<str>>,
    /// As the client sent them.
    pub params: Option<RawJson>,
    /// Who sent them.
    pub caller: Caller,
}

impl Inbound {
    /// A request that a specification names.
    pub fn new(routed: Routed, params: Option<RawJson>, caller: Caller) -> Self {
        Self { routed, vendor_method: None, params, caller }
    }
}
