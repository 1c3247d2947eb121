//! What is the client of a session told that answers nothing?

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::Server;
use crate::protocol::{Object, RawJson, frame, method};
use crate::router::{Changes, Updates};

/// Lists that change, resources that are updated, pages that were visited.
pub(super) struct Notices {
    changes: Changes,
    updates: Arc<Updates>,
    arrived: watch::Receiver<()>,
}

impl Notices {
    pub(super) fn new(server: &Server, updates: &Arc<Updates>) -> Self {
        Self { changes: server.router.changes(), updates: Arc::clone(updates), arrived: updates.arrived() }
    }

    /// Of a session that nothing happens to.
    #[cfg(test)]
    pub(super) fn detached() -> Self {
        use crate::router::{Fleet, Router, Sealer};
        let sealer = Sealer::new(&[]).unwrap_or_else(|error| unreachable!("{error}"));
        let updates = Arc::new(Updates::of(&crate::router::Principal::anonymous()));
        let changes = Router::new(Default::default(), Fleet::new(Vec::new()), sealer).changes();
        Self { changes, arrived: updates.arrived(), updates }
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

    /// The messages for these lists, for all resources that were updated and all pages that were visited.
    pub(super) fn frames(&self, changed: &[&'static str]) -> Vec<Bytes> {
        let lists = changed.iter().map(|name| frame::notification(name, None));
        let resources = self.updates.take();
        let resources = resources.iter().map(|uri| resource_updated(uri, Object::new()));
        let pages = self.updates.take_visited();
        let pages = pages.iter().map(|id| page_visited(id));
        lists.chain(resources).chain(pages).collect()
    }
}

fn page_visited(id: &str) -> Bytes {
    let mut params = Object::new();
    params.set("elicitationId", RawJson::of(id));
    frame::notification(method::ELICITATION_COMPLETE, Some(&params.to_json()))
}

/// The message that tells of one resource; `params` is what else it says.
pub(super) fn resource_updated(uri: &str, mut params: Object) -> Bytes {
    params.set("uri", RawJson::of(uri));
    frame::notification(method::RESOURCE_UPDATED, Some(&params.to_json()))
}
