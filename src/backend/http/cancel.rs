//! What does a backend hear when a request is given up?

use std::sync::Arc;

use serde_json::json;

use super::super::wire::Outgoing;
use super::{Hop, HttpConnection};
use crate::protocol::{RawJson, frame, method};

/// Tells the backend when a request is given up. A modern one sees its stream close; a legacy one
/// would not care, and is told by a notification.
#[derive(Debug)]
pub(super) struct CancelGuard {
    pub(super) connection: Arc<HttpConnection>,
    /// The request's.
    pub(super) id: u64,
    armed: bool,
    /// Whether the backend is a legacy one.
    pub(super) tells: bool,
}

impl CancelGuard {
    pub(super) fn new(connection: Arc<HttpConnection>, hop: &Hop, outgoing: &Outgoing) -> Self {
        let tells = matches!(hop, Hop::Legacy { .. });
        Self { connection, id: outgoing.id, armed: true, tells }
    }

    /// The request has ended, or never began: there is nothing to give up.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if !(self.armed && self.tells) {
            return;
        }
        let params = RawJson::of(&json!({ "requestId": self.id }));
        self.connection.post_later(frame::notification(method::CANCELLED, Some(&params)));
    }
}
