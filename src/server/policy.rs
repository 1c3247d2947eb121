//! What may a client do here: the settings in force, ready for use by each request.

use std::collections::BTreeMap;

use super::auth::Authenticator;
use super::http::Origins;
use super::{ClientSettings, LimitSettings, ServerSettings};

/// Replaced as a whole by a reload.
pub(super) struct Policy {
    pub(super) authenticator: Authenticator,
    pub(super) origins: Origins,
    pub(super) limits: LimitSettings,
    pub(super) drain: std::time::Duration,
    pub(super) drain_lead: std::time::Duration,
}

impl Policy {
    pub(super) fn new(settings: &ServerSettings, clients: &BTreeMap<String, ClientSettings>) -> Self {
        Self {
            authenticator: Authenticator::new(clients),
            origins: Origins::new(settings),
            limits: settings.limits.clone(),
            drain: settings.drain,
            drain_lead: settings.drain_lead,
        }
    }
}
