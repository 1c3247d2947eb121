//! What every transport offers the rest of the room: send one request, read what comes back for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::budget::Held;
use crate::protocol::{Id, ParamHeader, RawJson, Response, RpcError, TraceContext, frame};

use super::Failure;
use super::http::HttpReply;
use super::pipe::PipeReply;

/// How long a large message of a backend waits for room in memory, and a pipe with it.
pub(super) const ROOM_WAIT: Duration = Duration::from_secs(5);

/// A message of a pipe, counted if it is large. The pipe is not read meanwhile, which is what slows the backend
/// down; one that still finds no room is let through, because the pipe's other calls wait behind it, and counted too.
pub(super) async fn counted(text: Bytes) -> Bytes {
    let mut held = Held::default();
    held.cover_within(text.len(), ROOM_WAIT).await;
    held.overdrawn(text)
}

/// One request as it goes to the backend.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// Unique for the life of the backend, across its connections.
    pub id: u64,
    pub method: &'static str,
    pub params: Option<RawJson>,
    pub beside: Beside,
}

/// What headers say of a call that its body says too, where there are headers.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The arguments that they repeat.
    pub param_headers: Arc<[ParamHeader]>,
    /// The trace that the call belongs to.
    pub trace: Option<Arc<TraceContext>>,
    /// The name of a vendor's method, which stands on the wire in place of the one it is counted under.
    pub vendor_method: Option<Arc<str>>,
}

impl Outgoing {
    /// A request of which nothing is repeated in a header.
    pub(super) fn new(id: u64, method: &'static str, params: Option<RawJson>) -> Self {
        Self { id, method, params, beside: Beside::default() }
    }

    /// The method on the wire.
    pub(super) fn wire_method(&self) -> &str {
        self.beside.vendor_method.as_deref().unwrap_or(self.method)
    }
}

/// What came back for one request.
#[derive(Debug)]
pub(super) enum WireEvent {
    /// Progress or a log message that belongs to the request.
    Notification { method: String, params: Option<RawJson> },
    /// The backend asks something before it can answer; see [`Reply::respond`].
    Question { id: Id, method: String, params: Option<RawJson> },
    /// The answer: its `result` or its `error`.
    Answer(Result<RawJson, RawJson>),
    /// There will be no answer.
    Failed(Failure),
}

impl From<Response> for WireEvent {
    fn from(response: Response) -> Self {
        Self::Answer(response.outcome)
    }
}

/// What comes back for one request, event by event. Dropping it before the answer cancels the request.
#[derive(Debug)]
pub(super) enum Reply {
    Pipe(PipeReply),
    Http(Box<HttpReply>),
}

impl Reply {
    /// The next event. Cancel-safe: a future dropped before it is ready loses nothing.
    pub(super) async fn next(&mut self) -> WireEvent {
        match self {
            Self::Pipe(reply) => reply.next().await,
            Self::Http(reply) => reply.next().await,
        }
    }

    /// Answers a question of the backend.
    pub(super) fn respond(&self, id: &Id, outcome: &Result<RawJson, RawJson>) {
        let text = frame::outcome(id, outcome);
        match self {
            Self::Pipe(reply) => reply.post(text),
            Self::Http(reply) => reply.post(text),
        }
    }

    /// Waits for the answer and drops everything that comes before it.
    pub(super) async fn answer(mut self) -> Result<Result<RawJson, RawJson>, Failure> {
        loop {
            match self.next().await {
                WireEvent::Notification { .. } => {}
                WireEvent::Question { id, method, .. } => {
                    self.respond(&id, &Err(RpcError::method_not_found(&method).to_json()));
                }
                WireEvent::Answer(outcome) => return Ok(outcome),
                WireEvent::Failed(failure) => return Err(failure),
            }
        }
    }
}
