//! What does a legacy session remember between its requests?

use std::sync::Arc;

use parking_lot::Mutex;

use super::calls::Calls;
use crate::protocol::{LogLevel, RawJson, RequestMeta, Revision};
use crate::router::{Caller, Principal, RequestId, Updates};

/// Least level of log messages for a client that has not set one: the server decides then
/// (MCP 2025-11-25, server/utilities/logging).
const UNASKED: LogLevel = LogLevel::Info;

/// What `initialize` agreed on, and what the client set since.
pub(super) struct Session {
    pub(super) principal: Principal,
    pub(super) revision: Revision,
    pub(super) calls: Arc<Calls>,
    /// The resources it watches.
    pub(super) updates: Arc<Updates>,
    capabilities: RawJson,
    log_level: Mutex<LogLevel>,
}

impl Session {
    pub(super) fn new(
        principal: Principal,
        revision: Revision,
        capabilities: RawJson,
        calls: Arc<Calls>,
    ) -> Self {
        let (updates, log_level) = (Arc::default(), Mutex::new(UNASKED));
        Self { principal, revision, calls, updates, capabilities, log_level }
    }

    /// `logging/setLevel`
    pub(super) fn set_level(&self, level: LogLevel) {
        *self.log_level.lock() = level;
    }

    /// Whom the router serves when this session sends `params`.
    pub(super) fn caller(&self, request_id: RequestId, params: Option<&RawJson>) -> Caller {
        Caller {
            principal: self.principal.clone(),
            request_id,
            revision: self.revision,
            capabilities: self.capabilities.clone(),
            log_level: Some(*self.log_level.lock()),
            progress_token: RequestMeta::of(params).progress_token,
        }
    }
}

impl AsRef<Session> for Session {
    fn as_ref(&self) -> &Session {
        self
    }
}
