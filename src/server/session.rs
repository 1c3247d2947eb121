//! What does a legacy session remember between its requests?

use std::sync::Arc;

use parking_lot::Mutex;

use super::calls::Calls;
use crate::protocol::{LogLevel, RawJson, RequestMeta, Revision};
use crate::router::{Caller, Principal, RequestId};

/// Least level of log messages for a client that has not set one: the server decides then
/// (MCP 2025-11-25, server/utilities/logging).
const UNASKED: LogLevel = LogLevel::Info;

/// What `initialize` agreed on, and what the client set since.
pub(super) struct Session {
    pub(super) principal: Principal,
    pub(super) revision: Revision,
    pub(super) calls: Arc<Calls>,
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
        Self { principal, revision, calls, capabilities, log_level: Mutex::new(UNASKED) }
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
