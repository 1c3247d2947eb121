//! What is the client of a session told that answers nothing?

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::Server;
use crate::protocol::{Object, RawJson, frame, method};
use crate::router::{Changes, Updates};

/// Lists that change and resources that are updated.
pub(super) struct Notices {
    changes: Changes,
    updates: Arc<Updates>,
    arrived: watch::Receiver<()>,
}

impl Notices {
    pub(super) fn new(server: &Server, updates: &Arc<Updates>) -> Self {
        Self { changes: server.router.changes(), updates: Arc::clone(updates), arrived: updates.arrived() }
    }

    /// Waits until there is something to tell, and returns the lists that changed; `None` when the gateway
    /// stops. Cancel-safe. Updated resources stay where they are until somebody asks for the frames: of
    /// several streams one sends them.
    pub(super) async fn next(&mut self) -> Option<Vec<&'static str>> {
        tokio::select! {
            changed = self.changes.next() => changed,
            // The sender lives as long as `updates`.
            _ = self.arrived.changed() => Some(Vec::new()),
        }
    }

    /// The messages for these lists and for all resources that were updated.
    pub(super) fn frames(&self, changed: &[&'static str]) -> Vec<Bytes> {
        let lists = changed.iter().map(|name| frame::notification(name, None));
        let resources = self.updates.take();
        let resources = resources.iter().map(|uri| resource_updated(uri, Object::new()));
        lists.chain(resources).collect()
    }
}

/// The message that tells of one resource; `params` is what else it says.
pub(super) fn resource_updated(uri: &str, mut params: Object) -> Bytes {
    params.set("uri", RawJson::of(uri));
    frame::notification(method::RESOURCE_UPDATED, Some(&params.to_json()))
}
