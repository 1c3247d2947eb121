//! What comes back for one POST: JSON, an event stream, or a refusal.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::budget::{Gathered, Held};
use crate::protocol::{
    self, Id, ListKind, Malformed, Message, RawJson, SseParser, code, frame, header, method,
};
use crate::threads::Turn;

use super::super::signals::answer_to;
use super::super::wire::ROOM_WAIT;
use super::super::wire::WireEvent;
use super::super::{Failure, FailureKind, MAX_MESSAGE_BYTES, Sent};
use super::HttpConnection;
use super::cancel::CancelGuard;
use super::client::Response;
use super::reason::reason_of;
use super::rest::discard_rest;
use super::resume::Resume;
use super::status::refusal;

const EVENT_STREAM: &str = "text/event-stream";
/// Most of a refusal's body that is read.
const REFUSAL_BYTES: usize = 64 * 1024;

/// The answer to one POST, read as it is asked for; there is no task behind it.
#[derive(Debug)]
pub(in super::super) struct HttpReply {
    response: Response,
    guard: CancelGuard,
    body: Body,
    /// Events that arrived together with others.
    pending: VecDeque<WireEvent>,
    resume: Resume,
    turn: Turn,
}

#[derive(Debug)]
enum Body {
    Json(Gathered, Held),
    Events(SseParser, Held),
    Refusal(BytesMut),
}

impl HttpReply {
    pub(super) fn new(response: Response, guard: CancelGuard) -> Self {
        let body = if !response.status().is_success() {
            Body::Refusal(BytesMut::new())
        } else if is_event_stream(response.headers()) {
            Body::Events(SseParser::new(MAX_MESSAGE_BYTES), Held::default())
        } else {
            Body::Json(Gathered::default(), Held::default())
        };
        Self {
            response,
            guard,
            body,
            pending: VecDeque::new(),
            resume: Resume::default(),
            turn: Turn::default(),
        }
    }

    pub(in super::super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The session that the answer to `initialize` opened.
    pub(in super::super) fn session(&self) -> Option<HeaderValue> {
        self.response.headers().get(header::SESSION_ID).cloned()
    }

    /// Sends the answer to a question.
    pub(in super::super) fn post(&self, text: Bytes) {
        self.guard.connection.post_answer(text);
    }

    /// Reads the body of a refusal; it is judged as before when the reply is read.
    pub(super) async fn refusal_text(&mut self) -> Bytes {
        let text = read_refusal(&mut self.response).await;
        self.body = Body::Refusal(BytesMut::from(&text[..]));
        text
    }

    /// Drops the reply without cancelling: the backend did not take the request.
    pub(super) fn forget(mut self) {
        self.guard.disarm();
    }

    /// The next event. Cancel-safe: what was read so far stays in `body`.
    pub(in super::super) async fn next(&mut self) -> WireEvent {
        loop {
            if let Some(event) = self.pending.pop_front() {
                if is_last(&event) {
                    self.over(&event);
                }
                return event;
            }
            if self.lacks_room() {
                Box::pin(self.find_room()).await;
                continue;
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => {
                    let size = chunk.len();
                    self.take(chunk);
                    self.turn.taken(size).await;
                }
                Ok(None) | Err(_) if self.can_resume() => Box::pin(self.go_on()).await,
                Ok(None) => self.end(),
                Err(failure) => self.fail(failure),
            }
        }
    }

    /// Whether something was read that is not counted yet.
    fn lacks_room(&mut self) -> bool {
        match &mut self.body {
            Body::Json(collected, held) => !held.cover(collected.len()),
            Body::Events(parser, held) => !held.cover(parser.buffered()),
            Body::Refusal(_) => false,
        }
    }

    /// Waits for room; the backend is not read meanwhile. Cancel-safe.
    async fn find_room(&mut self) {
        let (bytes, held) = match &mut self.body {
            Body::Json(collected, held) => (collected.len(), held),
            Body::Events(parser, held) => (parser.buffered(), held),
            Body::Refusal(_) => return,
        };
        if held.cover_within(bytes, ROOM_WAIT).await || held.cover_beyond(bytes) {
            self.take_events();
        } else {
            self.fail(no_room());
        }
    }

    fn over(&mut self, event: &WireEvent) {
        self.guard.disarm();
        let is_answer_on_stream = matches!((event, &self.body), (WireEvent::Answer(_), Body::Events(..)));
        if is_answer_on_stream && let Some(body) = self.response.take_body() {
            self.guard.connection.rests.take(body);
        }
    }

    /// A stream whose events had ids may end before the answer: that is how a server of 2025-11-25 has
    /// its client poll. A modern stream that breaks is lost.
    fn can_resume(&self) -> bool {
        let is_stream = matches!(self.body, Body::Events(..)) && self.guard.tells;
        is_stream && self.resume.is_possible()
    }

    /// Opens the stream again where it broke. Interrupted, it begins anew: the server remembers.
    async fn go_on(&mut self) {
        let last_event_id = self.resume.begin().await;
        let resumed = self.guard.connection.get(last_event_id).await;
        if let Ok(response) = resumed.map_err(|_| ())
            && response.status().is_success()
            && is_event_stream(response.headers())
        {
            self.response = response;
            self.body = Body::Events(SseParser::new(MAX_MESSAGE_BYTES), Held::default());
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.pending.push_back(WireEvent::Failed(failure));
    }

    fn take(&mut self, chunk: Bytes) {
        let (length, limit) = match &mut self.body {
            Body::Events(parser, held) => {
                parser.push(&chunk);
                if held.cover(parser.buffered()) {
                    self.take_events();
                }
                return;
            }
            Body::Json(collected, _) => {
                collected.push(chunk, None);
                (collected.len(), MAX_MESSAGE_BYTES)
            }
            Body::Refusal(collected) => {
                collected.extend_from_slice(&chunk);
                (collected.len(), REFUSAL_BYTES)
            }
        };
        if length > limit {
            self.fail(Failure::malformed(format!("the backend answered with more than {limit} bytes")));
        }
    }

    fn take_events(&mut self) {
        let Body::Events(parser, held) = &mut self.body else { return };
        let mut messages = Vec::new();
        let overflow = loop {
            match parser.next_event() {
                Ok(Some(event)) => {
                    self.resume.note(&event);
                    if event.is_message() {
                        messages.push(std::mem::take(held).keep(event.data.into()));
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        for message in &messages {
            self.read(message);
        }
        if let Some(error) = overflow {
            self.fail(Failure::malformed(error.to_string()));
        }
    }

    /// The body ended. Every path leaves an event behind, so that `next` ends.
    fn end(&mut self) {
        match &mut self.body {
            Body::Events(..) => {
                self.fail(Failure::lost(Sent::Maybe, "the event stream ended before the answer"))
            }
            Body::Json(text, held) => {
                let text = std::mem::take(held).keep(std::mem::take(text).finish());
                self.read(&text);
                if !self.pending.iter().any(is_last) {
                    self.fail(Failure::malformed("the backend answered without an answer to the request"));
                }
            }
            Body::Refusal(text) => {
                let text = std::mem::take(text).freeze();
                let event = self.refusal(&text);
                self.pending.push_back(event);
            }
        }
    }

    /// Takes the messages of an event or of a whole body. What is none means nothing, unless it shows the id of the
    /// request: then no other answer will come.
    fn read(&mut self, text: &Bytes) {
        let is_whole_body = matches!(self.body, Body::Json(..));
        let take = |message| self.take_message(message, text);
        if is_whole_body {
            protocol::each_in_body(text, take);
        } else {
            protocol::each_message(text, take);
        }
    }

    fn take_message(&mut self, message: Result<Message, Box<Malformed>>, text: &Bytes) {
        match message {
            Ok(message) => self.dispatch(message),
            Err(_) if self.shows_own_id(text) => {
                self.fail(Failure::malformed("the backend answered with something that is no MCP message"));
            }
            Err(_) => tracing::debug!(bytes = text.len(), "skipped something that is no MCP message"),
        }
    }

    fn shows_own_id(&self, text: &Bytes) -> bool {
        protocol::salvage_id(text).is_some_and(|id| id.as_number() == Some(self.guard.id))
    }

    fn dispatch(&mut self, message: Message) {
        match message {
            Message::Response(response) => {
                let is_ours = response.id.as_ref().is_none_or(|id| id.as_number() == Some(self.guard.id));
                if is_ours {
                    self.pending.push_back(response.into());
                }
            }
            Message::Notification { method, params } if is_about_a_request(&method) => {
                self.pending.push_back(WireEvent::Notification { method, params });
            }
            Message::Notification { method, params } => {
                self.guard.connection.signals.notification(&method, params.as_ref());
            }
            Message::Request { id, method, params } if self.guard.connection.may_ask(&method) => {
                self.pending.push_back(WireEvent::Question { id, method, params });
            }
            Message::Request { id, method, .. } => {
                answer(&self.guard.connection, &id, &method);
                let signals = self.guard.connection.signals();
                if signals.is_lost() {
                    let failure = Failure::lost(Sent::Maybe, signals.reason());
                    self.fail(failure);
                }
            }
        }
    }

    /// A refusal with a JSON-RPC error is an answer; any other is judged by its status.
    fn refusal(&self, text: &Bytes) -> WireEvent {
        let status = self.status();
        let is_http_only = matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        ) || matches!(status.as_u16(), 502..=504);
        if !is_http_only && let Some(response) = error_in(text) {
            return response.into();
        }
        let failure = refusal(status, self.response.headers());
        WireEvent::Failed(failure.saying(reason_of(status, text)))
    }
}

/// The JSON-RPC error that a body is.
pub(super) fn error_in(text: &Bytes) -> Option<protocol::Response> {
    let mut found = None;
    protocol::each_in_body(text, |message| {
        if let Ok(Message::Response(response)) = message
            && response.outcome.is_err()
        {
            found.get_or_insert(response);
        }
    });
    found
}

fn is_last(event: &WireEvent) -> bool {
    matches!(event, WireEvent::Answer(_) | WireEvent::Failed(_))
}

/// Neither side is to blame, so the breaker learns nothing.
fn no_room() -> Failure {
    let message = "the answer is dropped: the gateway holds as much of large messages as it may";
    Failure::new(FailureKind::Busy, Sent::Maybe, message)
}

/// The body of a refusal, as much of it as counts.
pub(super) async fn read_refusal(response: &mut Response) -> Bytes {
    let mut text = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() > REFUSAL_BYTES {
            break;
        }
    }
    discard_rest(response).await;
    text.truncate(REFUSAL_BYTES);
    text.freeze()
}

pub(in super::super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.trim_start().get(..EVENT_STREAM.len());
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
}

/// Progress and log messages on a request's own stream are about that request.
fn is_about_a_request(name: &str) -> bool {
    !ListKind::ALL.into_iter().any(|kind| kind.changed() == name)
        && name != method::RESOURCE_UPDATED
        && name != method::TASK_CHANGED
}

/// Answers a question of the backend on a request of its own.
pub(super) fn answer(connection: &Arc<HttpConnection>, id: &Id, name: &str) {
    if connection.signals().takes_request() {
        connection.post_answer(frame::outcome(id, &answer_to(name)));
    }
}

/// Whether an error's code is one only a modern server knows (MCP 2026-07-28, basic/versioning).
pub(in super::super) fn is_modern_error(error: &RawJson, status: Option<StatusCode>) -> bool {
    let number = error.get("code").and_then(|code| code.to::<i32>());
    match number {
        Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION) => true,
        Some(code::METHOD_NOT_FOUND) => status == Some(StatusCode::NOT_FOUND),
        _ => false,
    }
}
