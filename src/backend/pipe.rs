//! One connection that many calls share: a queue towards the backend, and what comes back.
//!
//! Used by stdio and HTTP+SSE. Nothing here waits for a call: what a call does not take in time is
//! dropped, so that one slow reader delays nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::protocol::{self, Id, Malformed, Message, RawJson, Response, frame, method};

use super::call_ref::CallRef;
use super::in_flight::{Entry, InFlight};
use super::noise::ANSWERS_NOT_TAKEN;
use super::signals::{Signals, answer_to};
use super::wire::{Outgoing, WireEvent};
use super::{Failure, FailureKind, Sent};

/// Frames waiting to be written.
const WRITE_QUEUE: usize = 1024;
/// Events waiting for one call to take them.
const CALL_QUEUE: usize = 256;

/// A frame on its way out.
#[derive(Debug)]
pub(super) struct Frame {
    pub text: Bytes,
    /// The call this frame is the request of.
    pub call: Option<CallRef>,
}

/// The shared half that calls use.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    calls: Arc<InFlight>,
    queue: mpsc::Sender<Frame>,
    signals: Signals,
    /// Whether the backend was told that it may ask: then one call at a time uses the pipe.
    is_interactive: bool,
    /// Whether something that wants no answer was sent after the last answer came.
    is_notified: Arc<AtomicBool>,
}

impl Pipe {
    /// A pipe and the queue its writer must empty.
    pub(super) fn new(signals: Signals, is_interactive: bool) -> (Self, mpsc::Receiver<Frame>) {
        let (queue, frames) = mpsc::channel(WRITE_QUEUE);
        let is_notified = Arc::default();
        (Self { calls: Arc::default(), queue, signals, is_interactive, is_notified }, frames)
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Sends a request; its events come through the reply.
    pub(super) fn start(&self, outgoing: &Outgoing) -> Result<PipeReply, Failure> {
        let (events, inbox) = mpsc::channel(CALL_QUEUE);
        let call = CallRef::new(outgoing.id);
        let entry = Entry { events, call: call.clone(), method: outgoing.method };
        if !self.calls.register(outgoing.id, entry) {
            return Err(Failure::unavailable(self.signals.reason()));
        }
        let reply = PipeReply { inbox, pipe: self.clone(), call: call.clone(), finished: false };
        let text = frame::request(&Id::number(outgoing.id), outgoing.wire_method(), outgoing.params.as_ref());
        self.queue.try_send(Frame { text, call: Some(call) }).map_err(|_| {
            Failure::new(FailureKind::Busy, Sent::No, "the backend does not read what it is sent")
        })?;
        Ok(reply)
    }

    /// Sends a notification; lost if the queue is full, as notifications may be.
    pub(super) fn notify(&self, name: &str, params: Option<&RawJson>) {
        self.is_notified.store(true, Ordering::Relaxed);
        let _ = self.queue.try_send(Frame { text: frame::notification(name, params), call: None });
    }

    /// Sends the answer to a request of the backend. One that does not read its answers has no use for the connection.
    pub(super) fn post(&self, text: Bytes) {
        self.is_notified.store(true, Ordering::Relaxed);
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(Frame { text, call: None }) {
            self.lose(ANSWERS_NOT_TAKEN);
        }
    }

    /// Takes one message from the backend, or the batch that servers of 2025-03-26 may send. `false` if it was neither.
    pub(super) fn receive(&self, text: &Bytes) -> bool {
        let mut is_read = true;
        protocol::each_message(text, |message| is_read &= self.take(message, text));
        is_read
    }

    fn take(&self, message: Result<Message, Box<Malformed>>, text: &Bytes) -> bool {
        match message {
            Ok(Message::Response(response)) => self.take_answer(response),
            Ok(Message::Notification { method, params }) => self.dispatch(method, params),
            Ok(Message::Request { id, method, params }) => self.ask(id, method, params),
            Err(_) => {
                self.receive_unreadable(text);
                return false;
            }
        }
        true
    }

    fn take_answer(&self, response: Response) {
        let entry = match response.id.as_ref() {
            Some(id) => id.as_number().and_then(|id| self.calls.take(id)),
            None if response.outcome.is_err() => self.refused_unread(),
            None => None,
        };
        if let Some(entry) = entry {
            self.is_notified.store(false, Ordering::Relaxed);
            entry.finish(response.into());
        }
    }

    /// The call that an error without an id is about: a server that cannot read a request cannot repeat its id. Some
    /// send such an error to a notification too, so after one of those it may be about nothing.
    fn refused_unread(&self) -> Option<Entry> {
        if self.is_notified.load(Ordering::Relaxed) {
            return None;
        }
        self.calls.take_only()
    }

    /// What cannot be read may still be an answer, nested too deep for example: its call must not wait for another.
    fn receive_unreadable(&self, text: &Bytes) {
        let id = protocol::salvage_id(text).and_then(|id| id.as_number());
        if let Some(id) = id {
            self.fail(
                id,
                Failure::malformed("the backend answered with something that is no valid MCP message"),
            );
        }
    }

    /// Takes a question of the backend to the one call it can be about, or refuses it.
    fn ask(&self, id: Id, name: String, params: Option<RawJson>) {
        let is_for_client = self.is_interactive && name != method::PING;
        let refusal = answer_to(&name);
        let question = WireEvent::Question { id: id.clone(), method: name, params };
        if !(is_for_client && self.calls.ask(question)) && self.signals.takes_request() {
            self.post(frame::outcome(&id, &refusal));
        }
    }

    /// Requests that wait for an answer.
    #[cfg(test)]
    pub(super) fn open_calls(&self) -> usize {
        self.calls.len()
    }

    fn dispatch(&self, name: String, params: Option<RawJson>) {
        if name == method::CANCELLED && self.end_subscription(params.as_ref()) {
            return;
        }
        if let Err((name, params)) = self.calls.notify(name, params) {
            self.signals.notification(&name, params.as_ref());
        }
    }

    /// Of the gateway's requests a backend cancels nothing but subscriptions, which it may end this way (MCP 2026-07-28,
    /// basic/patterns/cancellation). `false` if there is none of that id.
    fn end_subscription(&self, params: Option<&RawJson>) -> bool {
        let id = params.and_then(|params| params.get("requestId")).and_then(Id::new);
        let id = id.and_then(|id| id.as_number()).filter(|id| self.calls.is_subscription(*id));
        if let Some(id) = id {
            self.fail(id, Failure::lost(Sent::Maybe, "the backend ended the subscription"));
        }
        id.is_some()
    }

    /// Ends the connection: every call in flight learns so at once.
    pub(super) fn lose(&self, reason: &str) {
        self.signals.lose(reason);
        for entry in self.calls.close() {
            let sent = entry.call.give_up();
            entry.finish(WireEvent::Failed(Failure::lost(sent, reason)));
        }
    }

    /// Ends one call that could not be delivered.
    pub(super) fn fail(&self, id: u64, failure: Failure) {
        if let Some(entry) = self.calls.take(id) {
            entry.finish(WireEvent::Failed(failure));
        }
    }
}

/// What comes back for one request on a pipe.
#[derive(Debug)]
pub(super) struct PipeReply {
    inbox: mpsc::Receiver<WireEvent>,
    pipe: Pipe,
    call: CallRef,
    finished: bool,
}

impl PipeReply {
    pub(super) async fn next(&mut self) -> WireEvent {
        let event = self.inbox.recv().await.unwrap_or_else(|| {
            WireEvent::Failed(Failure::lost(self.call.give_up(), self.pipe.signals.reason()))
        });
        self.finished = matches!(event, WireEvent::Answer(_) | WireEvent::Failed(_));
        event
    }

    /// Sends the answer to a question.
    pub(super) fn post(&self, text: Bytes) {
        self.pipe.post(text);
    }

    /// Gives the request up, and says whether its first byte was written.
    pub(super) fn give_up(&self) -> Sent {
        self.call.give_up()
    }
}

impl Drop for PipeReply {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let entry = self.pipe.calls.take(self.call.id);
        // The protocol forbids to cancel `initialize`.
        let may_cancel = entry.is_some_and(|entry| entry.method != method::INITIALIZE);
        if !may_cancel || self.call.give_up() == Sent::No {
            return;
        }
        let params = RawJson::of(&json!({ "requestId": self.call.id }));
        self.pipe.notify(method::CANCELLED, Some(&params));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn pipe() -> (Pipe, mpsc::Receiver<Frame>) {
        Pipe::new(Signals::default(), false)
    }

    fn call(pipe: &Pipe, id: u64) -> PipeReply {
        pipe.start(&Outgoing::new(id, "tools/call", None)).unwrap()
    }

    fn receive(pipe: &Pipe, text: serde_json::Value) {
        assert!(pipe.receive(&Bytes::from(text.to_string())));
    }

    #[tokio::test]
    async fn answers_and_progress_find_their_own_call() {
        let (pipe, _frames) = pipe();
        let (mut one, mut two) = (call(&pipe, 1), call(&pipe, 2));
        let progress = json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}});
        receive(&pipe, progress);
        receive(&pipe, json!({"jsonrpc":"2.0","id":2,"result":"two"}));
        receive(&pipe, json!({"jsonrpc":"2.0","id":1,"result":"one"}));
        assert!(matches!(two.next().await, WireEvent::Notification { .. }));
        let WireEvent::Answer(Ok(answer)) = two.next().await else { panic!("no answer") };
        assert_eq!(answer.as_str(), "\"two\"");
        let WireEvent::Answer(Ok(answer)) = one.next().await else { panic!("no answer") };
        assert_eq!(answer.as_str(), "\"one\"");
    }

    #[tokio::test]
    async fn a_call_that_lags_loses_progress_but_never_its_answer() {
        let (pipe, _frames) = pipe();
        let mut reply = call(&pipe, 1);
        for _ in 0..2 * CALL_QUEUE {
            receive(
                &pipe,
                json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}),
            );
        }
        receive(&pipe, json!({"jsonrpc":"2.0","id":1,"result":{}}));
        let mut seen = 0;
        while let WireEvent::Notification { .. } = reply.next().await {
            seen += 1;
        }
        assert_eq!(seen, CALL_QUEUE - 1);
        assert!(reply.finished);
    }

    #[tokio::test]
    async fn losing_the_connection_ends_every_call_and_says_whether_it_was_sent() {
        let (pipe, mut frames) = pipe();
        let (mut written, mut queued) = (call(&pipe, 1), call(&pipe, 2));
        assert!(frames.recv().await.unwrap().call.unwrap().start());
        pipe.lose("the process exited");
        let WireEvent::Failed(failure) = written.next().await else { panic!("not failed") };
        assert_eq!(failure.sent, Sent::Maybe);
        let WireEvent::Failed(failure) = queued.next().await else { panic!("not failed") };
        assert_eq!(failure.sent, Sent::No);
        assert!(!frames.recv().await.unwrap().call.unwrap().start(), "what was not sent is not sent later");
        assert!(pipe.start(&Outgoing::new(3, "x", None)).is_err());
    }

    #[tokio::test]
    async fn dropping_a_reply_cancels_the_request_under_the_backends_id() {
        let (pipe, mut frames) = pipe();
        let reply = call(&pipe, 41);
        assert!(frames.recv().await.unwrap().call.unwrap().start());
        drop(reply);
        let cancel = frames.recv().await.unwrap().text;
        assert_eq!(
            cancel,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":41}}"#
        );
        receive(&pipe, json!({"jsonrpc":"2.0","id":41,"result":{}}));
    }

    #[tokio::test]
    async fn a_log_message_has_an_owner_only_while_one_call_is_in_flight() {
        let (pipe, _frames) = pipe();
        let log =
            json!({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}});
        let mut one = call(&pipe, 1);
        receive(&pipe, log.clone());
        let two = call(&pipe, 2);
        receive(&pipe, log);
        assert!(matches!(one.next().await, WireEvent::Notification { .. }));
        assert!(one.inbox.try_recv().is_err());
        drop(two);
    }

    #[tokio::test]
    async fn a_question_is_about_the_one_call_though_the_gateway_subscribes_beside_it() {
        let (pipe, _frames) = Pipe::new(Signals::default(), true);
        let mut one = call(&pipe, 1);
        let _subscribing = pipe.start(&Outgoing::new(2, method::SUBSCRIBE, None)).unwrap();
        receive(&pipe, json!({"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}));
        assert!(matches!(one.inbox.try_recv(), Ok(WireEvent::Question { .. })));
        let _two = call(&pipe, 3);
        receive(&pipe, json!({"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}));
        assert!(one.inbox.try_recv().is_err(), "it could be about either");
    }

    #[tokio::test]
    async fn every_message_of_a_batch_finds_its_call() {
        let (pipe, _frames) = pipe();
        let (mut one, mut two) = (call(&pipe, 1), call(&pipe, 2));
        let answer = |id: u64| json!({"jsonrpc":"2.0","id":id,"result":{}});
        receive(&pipe, json!([answer(2), answer(1)]));
        assert!(matches!(one.inbox.try_recv(), Ok(WireEvent::Answer(Ok(_)))));
        assert!(matches!(two.inbox.try_recv(), Ok(WireEvent::Answer(Ok(_)))));
        assert!(!pipe.receive(&Bytes::from_static(b"[1,2]")));
    }

    #[tokio::test]
    async fn an_error_without_an_id_is_about_the_one_request_unless_a_notification_came_before() {
        let (pipe, _frames) = pipe();
        let error = json!({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}});
        let mut one = call(&pipe, 1);
        let two = call(&pipe, 2);
        receive(&pipe, error.clone());
        assert!(one.inbox.try_recv().is_err(), "it could be about either");
        drop(two);
        receive(&pipe, error.clone());
        assert!(matches!(one.inbox.try_recv(), Ok(WireEvent::Answer(Err(_)))));

        pipe.notify(method::INITIALIZED, None);
        let (mut three, mut four) = (call(&pipe, 3), call(&pipe, 4));
        receive(&pipe, error.clone());
        receive(&pipe, json!({"jsonrpc":"2.0","id":"4","result":{}}));
        assert!(matches!(four.inbox.try_recv(), Ok(WireEvent::Answer(Ok(_)))));
        assert!(three.inbox.try_recv().is_err(), "it was about the notification");
        receive(&pipe, error);
        assert!(matches!(three.inbox.try_recv(), Ok(WireEvent::Answer(Err(_)))));
    }

    #[tokio::test]
    async fn pings_are_answered_and_other_questions_refused() {
        let (pipe, mut frames) = pipe();
        receive(&pipe, json!({"jsonrpc":"2.0","id":"p","method":"ping"}));
        receive(&pipe, json!({"jsonrpc":"2.0","id":9,"method":"roots/list"}));
        assert_eq!(frames.recv().await.unwrap().text, r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);
        assert!(
            frames.recv().await.unwrap().text.ends_with(b"\"message\":\"method not found: roots/list\"}}")
        );
    }
}
