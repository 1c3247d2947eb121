//! Leave to send one call: what a backend gives before anything is sent.

use std::sync::Arc;

use crate::protocol::{RawJson, Revision};
use crate::resilience::{Permit, Place};

use super::lease::Lease;
use super::tools::Limits;
use super::wire::Outgoing;
use super::{Backend, Beside, Call};

/// Leave to send one call.
pub struct Admission {
    pub(super) backend: Arc<Backend>,
    pub(super) lease: Lease,
    pub(super) place: Place,
    pub(super) permit: Permit,
    pub(super) limits: Limits,
    pub(super) first_made: Option<tokio::time::Instant>,
}

impl Admission {
    /// What the backend speaks on this connection.
    pub fn revision(&self) -> Revision {
        self.lease.connection().revision()
    }

    /// The id the request will have on this hop; also its progress token.
    pub fn draw_id(&self) -> u64 {
        self.backend.ids.next()
    }

    /// Makes the call; nothing is sent until its first event is asked for. `beside` is for its
    /// headers.
    pub fn call(self, id: u64, method: &'static str, params: RawJson, beside: Beside) -> Call {
        Call::new(self, Outgoing { id, method, params: Some(params), beside })
    }
}
