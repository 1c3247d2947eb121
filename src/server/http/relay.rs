//! How do the events of a routed call reach the client?
//!
//! As plain JSON where the answer is the first event, else as an event stream: from the first event on, or from
//! when the call has been silent for too long. A client that is told how to come back to its stream
//! (MCP 2025-11-25, basic/transports, sending messages to the server) is told so after a moment; for any other,
//! too long is when something on the way might close the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::{Timeout, timeout};

use super::events::{EventWriter, Events};
use super::http_session::HttpSession;
use super::replay::Purpose;
use super::respond::{self, Body, json};
use super::resumable::{Stream, is_primed};
use crate::budget::sent;
use crate::protocol::{Era, Id, Pieces, RawJson, code, frame};
use crate::router::{Event, Exchange};
use crate::server::Server;
use crate::server::answers::with_result_type;
use crate::server::calls::Call;
use crate::server::caught::next_event;
use crate::server::error::status_of;

/// How long a client that can come back waits for a plain answer.
const MOMENT: Duration = Duration::from_millis(250);

/// One routed call on its way to one client.
pub(super) struct Relay {
    pub(super) exchange: Exchange,
    pub(super) id: Id,
    pub(super) era: Era,
    /// Of a legacy client.
    pub(super) session: Option<Arc<HttpSession>>,
    /// Entered in its session, where there is one.
    pub(super) call: Option<Call>,
    pub(super) keep_alive: Duration,
}

/// What happens next to a call.
enum Step {
    Event(Event),
    Silence,
    Cancelled,
}

impl Relay {
    /// Answers with whatever fits: see the module.
    pub(super) async fn respond(self, server: &Arc<Server>, accepts_events: bool) -> Response<Body> {
        let mut kept = Kept { relay: Some(self), server };
        loop {
            let Some(relay) = kept.relay.as_mut() else { return respond::empty(StatusCode::ACCEPTED) };
            let patience = if accepts_events { relay.patience() } else { relay.keep_alive };
            let step = relay.first(patience).await;
            let answer = match step {
                Step::Event(Event::Answer(answer)) => answer,
                Step::Cancelled => return kept.stream(Step::Cancelled),
                _ if accepts_events => return kept.stream(step),
                _ => continue,
            };
            let response = relay.json(answer);
            kept.relay = None;
            return response;
        }
    }

    /// How long the call may be silent before it is answered with a stream.
    fn patience(&self) -> Duration {
        let is_primed = self.session.as_ref().is_some_and(|session| is_primed(&session.session));
        if is_primed { MOMENT.min(self.keep_alive) } else { self.keep_alive }
    }

    /// What happens before anything was sent: a panic is left to whoever picks the status.
    async fn first(&mut self, patience: Duration) -> Step {
        Self::watch(timeout(patience, self.exchange.next()), self.call.as_ref()).await
    }

    /// What happens next.
    async fn step(&mut self) -> Step {
        Self::watch(timeout(self.keep_alive, next_event(&mut self.exchange)), self.call.as_ref()).await
    }

    async fn watch(next: Timeout<impl Future<Output = Event>>, call: Option<&Call>) -> Step {
        let next = match call {
            Some(call) => call.unless_cancelled(next).await,
            None => Some(next.await),
        };
        match next {
            None => Step::Cancelled,
            Some(Err(_)) => Step::Silence,
            Some(Ok(event)) => Step::Event(event),
        }
    }

    fn json(&self, answer: Result<RawJson, RawJson>) -> Response<Body> {
        let status = match (&answer, self.era) {
            (Err(error), Era::Modern) => {
                status_of(error.get("code").and_then(|code| code.to()).unwrap_or(code::INTERNAL_ERROR))
            }
            _ => StatusCode::OK,
        };
        json(status, answer_pieces(&self.id, self.era, answer))
    }

    /// Writes everything from `step` on. A cancelled call ends without an answer.
    async fn write(mut self, mut step: Step, out: EventWriter) {
        loop {
            match step {
                Step::Event(Event::Notification { method, params }) => {
                    out.message(&frame::notification(&method, params.as_ref())).await;
                }
                Step::Event(Event::Answer(answer)) => {
                    return out.message(&answer_frame(&self.id, self.era, answer)).await;
                }
                Step::Event(Event::Question { method, params, answerer }) => {
                    if let Some(call) = &self.call {
                        out.message(&call.ask(&method, params.as_ref(), answerer)).await;
                    }
                }
                Step::Event(Event::Withdrawn { question, reason }) => {
                    if let Some(frame) = self.call.as_ref().and_then(|call| call.withdraw(question, reason)) {
                        out.message(&frame).await;
                    }
                }
                Step::Silence => out.comment().await,
                Step::Cancelled => return,
            }
            step = self.step().await;
        }
    }

    /// Runs to the end for nobody.
    async fn finish(mut self) {
        while !matches!(self.step().await, Step::Cancelled | Step::Event(Event::Answer(_))) {}
    }
}

/// The message that ends a call.
pub(in crate::server) fn answer_frame(id: &Id, era: Era, answer: Result<RawJson, RawJson>) -> Bytes {
    answer_pieces(id, era, answer).join()
}

fn answer_pieces(id: &Id, era: Era, answer: Result<RawJson, RawJson>) -> Pieces {
    match answer {
        Ok(result) if era == Era::Modern => frame::result_pieces(id, with_result_type(result)),
        Ok(result) => frame::result_pieces(id, result),
        Err(error) => sent(frame::error(Some(id), &error)).into(),
    }
}

/// A call whose client may go away before the first event. For a legacy client that means nothing
/// (MCP 2025-11-25, basic/transports), so the call goes on; for a modern one it is how to cancel.
struct Kept<'a> {
    relay: Option<Relay>,
    server: &'a Arc<Server>,
}

impl Kept<'_> {
    fn stream(mut self, first: Step) -> Response<Body> {
        let Some(relay) = self.relay.take() else { return respond::empty(StatusCode::ACCEPTED) };
        // A stream that ends at once is nothing to come back to.
        let session = relay.session.clone().filter(|_| !matches!(first, Step::Cancelled));
        let Some(session) = session else {
            return respond::events(Events::produced(|out| relay.write(first, out)));
        };
        let (stream, events) = Stream::open(session, Purpose::Call);
        self.server.spawn(relay.write(first, stream.writer()));
        respond::events(events)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let Some(relay) = self.relay.take() else { return };
        // Without a runtime the process is ending, and the call with it.
        if relay.era == Era::Legacy && tokio::runtime::Handle::try_current().is_ok() {
            self.server.spawn(relay.finish());
        }
    }
}
