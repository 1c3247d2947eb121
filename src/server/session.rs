//! What does a legacy session remember between its requests?

use std::sync::Arc;

use parking_lot::Mutex;

use super::calls::Calls;
use crate::protocol::{ClientCapabilities, LogLevel, RawJson, RequestMeta, Revision, readable_info};
use crate::router::{Caller, Principal, RequestId, SessionHold, Updates};

/// Least level of log messages that a modern server is asked for where a legacy client has set none. A legacy server
/// decides by itself then (MCP 2025-11-25, server/utilities/logging).
const UNASKED: LogLevel = LogLevel::Info;

/// What `initialize` agreed on, and what the client set since.
pub(super) struct Session {
    pub(super) principal: Principal,
    pub(super) revision: Revision,
    pub(super) calls: Arc<Calls>,
    /// The resources it watches.
    pub(super) updates: Arc<Updates>,
    capabilities: RawJson,
    /// Not known of a session that another process opened.
    client_info: Option<RawJson>,
    log_level: Mutex<Option<LogLevel>>,
    /// What backends keep for it.
    hold: Option<SessionHold>,
}

impl Session {
    pub(super) fn new(
        principal: Principal,
        revision: Revision,
        capabilities: RawJson,
        calls: Arc<Calls>,
    ) -> Self {
        let (updates, log_level) = (Arc::new(Updates::of(&principal)), Mutex::default());
        Self { principal, revision, calls, updates, capabilities, client_info: None, log_level, hold: None }
    }

    /// The same session, for which backends can keep something.
    pub(super) fn held(self, hold: SessionHold) -> Self {
        hold.hears(&self.updates);
        Self { hold: Some(hold), ..self }
    }

    /// The same session, whose client has said who it is.
    pub(super) fn of_client(self, info: Option<RawJson>) -> Self {
        Self { client_info: info.and_then(readable_info), ..self }
    }

    /// `logging/setLevel`
    pub(super) fn set_level(&self, level: LogLevel) {
        *self.log_level.lock() = Some(level);
    }

    /// `notifications/roots/list_changed`
    pub(super) fn roots_changed(&self) {
        self.hold.iter().for_each(SessionHold::roots_changed);
    }

    /// Least level of log messages; `None` unless the client set one.
    pub(super) fn level_set(&self) -> Option<LogLevel> {
        *self.log_level.lock()
    }

    /// What the client can be asked, as far as the gateway knows of it.
    pub(super) fn known_capabilities(&self) -> RawJson {
        ClientCapabilities::read(&self.capabilities, self.revision).to_json()
    }

    /// Whom the router serves when this session sends a request with this `_meta`.
    pub(super) fn caller(&self, request_id: RequestId, meta: RequestMeta) -> Caller {
        let asked_level = *self.log_level.lock();
        Caller {
            principal: self.principal.clone(),
            request_id,
            revision: self.revision,
            capabilities: self.capabilities.clone(),
            client_info: self.client_info.clone(),
            session: self.hold.as_ref().map(SessionHold::id),
            log_level: Some(asked_level.unwrap_or(UNASKED)),
            asked_level,
            progress_token: meta.progress_token,
            trace: meta.trace,
        }
    }
}

impl AsRef<Session> for Session {
    fn as_ref(&self) -> &Session {
        self
    }
}
