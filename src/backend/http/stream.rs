//! The stream on which a legacy backend says what concerns no request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::protocol::{self, Message, SseParser, method};

use super::super::reopen::Reopen;
use super::super::wire::WireEvent;
use super::super::{Failure, MAX_MESSAGE_BYTES};
use super::HttpConnection;
use super::lost_session::{self, SessionVerdict};
use super::reply::{answer, is_event_stream, read_refusal};

/// Longest wait for the stream of a session to open before its first call.
const OPENING: Duration = Duration::from_millis(250);

/// Keeps the stream open for as long as the connection lives. Ends at once if the backend offers none.
pub(in super::super) async fn follow(connection: Arc<HttpConnection>, opened_once: Arc<Notify>) {
    let (mut reopen, mut was_open) = (Reopen::default(), false);
    while !connection.signals.is_lost() {
        reopen.begin();
        let round = tokio::select! {
            round = follow_get(&connection, was_open, &opened_once) => round,
            _ = connection.signals.lost() => return,
        };
        match round {
            Ok(Round::NotOffered) => return opened_once.notify_one(),
            Ok(Round::Renewed) => {
                was_open = false;
                continue;
            }
            Ok(Round::Ended) => was_open = true,
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(reopen.pause()) => {}
            _ = connection.signals.lost() => return,
        }
    }
}

enum Round {
    NotOffered,
    /// The session was forgotten; there is another one.
    Renewed,
    Ended,
}

/// A stream that was there and is not found any more means that the session is not there either.
async fn follow_get(
    connection: &Arc<HttpConnection>,
    was_open: bool,
    opened_once: &Notify,
) -> Result<Round, Failure> {
    let hop = connection.hop.load_full();
    let mut response = connection.get(None).await?;
    match response.status() {
        status if status.is_client_error() && was_open && hop.session().is_some() => {
            let text = read_refusal(&mut response).await;
            if lost_session::judge(status, &text, 0) == SessionVerdict::Lost {
                return connection.renew(&hop).await.map(|()| Round::Renewed);
            }
            return Err(Failure::unavailable(format!("the backend answered HTTP {status} without events")));
        }
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => return Ok(Round::NotOffered),
        status if !status.is_success() || !is_event_stream(response.headers()) => {
            return Err(Failure::unavailable(format!("the backend answered HTTP {status} without events")));
        }
        _ => {}
    }
    opened_once.notify_one();
    let _heard = Heard::on(connection);
    let mut parser = SseParser::new(MAX_MESSAGE_BYTES);
    while let Ok(Some(chunk)) = response.chunk().await {
        parser.push(&chunk);
        loop {
            match parser.next_event() {
                Ok(Some(event)) if event.is_message() => receive(connection, &Bytes::from(event.data)),
                Ok(Some(_)) => connection.signals.garbage(b""),
                Ok(None) => break,
                Err(error) => return Err(Failure::malformed(error.to_string())),
            }
        }
    }
    Ok(Round::Ended)
}

/// Opens the stream of a session that one call at a time will use, and waits a moment for it: some
/// servers lose what they say before anybody listens.
pub(in super::super) async fn open_beside(connection: Arc<HttpConnection>) {
    let opened = Arc::new(Notify::new());
    tokio::spawn(follow(connection, Arc::clone(&opened)));
    let _ = timeout(OPENING, opened.notified()).await;
}

fn is_about_a_call(name: &str) -> bool {
    matches!(name, method::MESSAGE | method::PROGRESS | method::CANCELLED)
}

/// Says for as long as it is kept that the stream is open.
struct Heard<'a>(&'a HttpConnection);

impl<'a> Heard<'a> {
    fn on(connection: &'a HttpConnection) -> Self {
        connection.set_heard(true);
        Self(connection)
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.0.set_heard(false);
    }
}

/// What is no message is skipped.
fn receive(connection: &Arc<HttpConnection>, text: &Bytes) {
    protocol::each_message(text, |message| match message {
        Ok(message) => take(connection, message),
        Err(_) => connection.signals.garbage(text),
    });
}

fn take(connection: &Arc<HttpConnection>, message: Message) {
    match message {
        Message::Notification { method, params } if is_about_a_call(&method) => {
            // About none, it means nothing.
            let _ = connection.beside.notify(method, params);
        }
        Message::Notification { method, params } => {
            connection.signals.notification(&method, params.as_ref());
        }
        Message::Request { id, method, params } => {
            let question = WireEvent::Question { id: id.clone(), method: method.clone(), params };
            if !(connection.may_ask(&method) && connection.beside.ask(question)) {
                answer(connection, &id, &method);
            }
        }
        Message::Response(_) => {}
    }
}
