//! What a legacy server says beside the stream of a call: on the stream that belongs to no request.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::super::call_ref::CallRef;
use super::super::in_flight::{Entry, InFlight};
use super::super::wire::{Outgoing, WireEvent};

/// Events that wait for the call to take them.
const QUEUE: usize = 256;

/// What is said about one call beside its own stream, for as long as this is kept.
#[derive(Debug)]
pub(in super::super) struct Aside {
    id: u64,
    events: mpsc::Receiver<WireEvent>,
    calls: Arc<InFlight>,
}

impl Aside {
    /// Enters a call among those that something may be about; its id is its progress token.
    pub(super) fn of(calls: &Arc<InFlight>, outgoing: &Outgoing) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let entry = Entry { events: sender, call: CallRef::new(outgoing.id), method: outgoing.method };
        // There is no end of the connection after which nobody may register.
        let _ = calls.register(outgoing.id, entry);
        Self { id: outgoing.id, events, calls: Arc::clone(calls) }
    }

    /// The next event. Cancel-safe.
    pub(in super::super) async fn next(&mut self) -> WireEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.calls.take(self.id);
    }
}
