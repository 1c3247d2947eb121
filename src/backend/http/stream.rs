//! The stream on which a backend says what concerns no request: a GET for legacy servers, a
//! `subscriptions/listen` for modern ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::protocol::{self, Message, RawJson, SseParser, method};
use crate::resilience::jitter;

use super::super::handshake::{Agreement, own_meta};
use super::super::wire::Outgoing;
use super::super::{Failure, MAX_MESSAGE_BYTES};
use super::reply::{answer, is_event_stream};
use super::{Hop, HttpConnection};

/// Wait before an ended stream is opened again, unless the server asked for another.
const REOPEN: Duration = Duration::from_secs(1);
const MAX_REOPEN: Duration = Duration::from_secs(60);

/// Keeps the stream open for as long as the connection lives. Ends at once if the backend offers none.
pub(in super::super) async fn follow(connection: Arc<HttpConnection>, agreement: Agreement) {
    let mut wait = REOPEN;
    while !connection.signals.is_lost() {
        let opened = tokio::time::Instant::now();
        let round = async {
            match connection.hop.load_full().as_ref() {
                Hop::Modern => listen(&connection, &agreement).await,
                _ => follow_get(&connection).await,
            }
        };
        let round = tokio::select! {
            round = round => round,
            _ = connection.signals.lost() => return,
        };
        match round {
            Ok(Round::NotOffered) => return,
            Ok(Round::Ended) if opened.elapsed() > MAX_REOPEN => wait = REOPEN,
            Ok(Round::Ended) | Err(_) => wait = (wait * 2).min(MAX_REOPEN),
        }
        let pause = wait.mul_f64(0.5 + jitter() / 2.0);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = connection.signals.lost() => return,
        }
    }
}

enum Round {
    NotOffered,
    Ended,
}

async fn follow_get(connection: &Arc<HttpConnection>) -> Result<Round, Failure> {
    let mut response = connection.get(None).await?;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED || response.status() == StatusCode::NOT_FOUND {
        return Ok(Round::NotOffered);
    }
    if !response.status().is_success() || !is_event_stream(response.headers()) {
        return Ok(Round::Ended);
    }
    let mut parser = SseParser::new(MAX_MESSAGE_BYTES);
    while let Ok(Some(chunk)) = response.chunk().await {
        parser.push(&chunk);
        while let Ok(Some(event)) = parser.next_event() {
            if event.is_message() {
                receive(connection, &Bytes::from(event.data));
            }
        }
    }
    Ok(Round::Ended)
}

fn receive(connection: &Arc<HttpConnection>, text: &Bytes) {
    match protocol::parse(text) {
        Ok(Message::Notification { method, .. }) => connection.signals.notification(&method),
        Ok(Message::Request { id, method, .. }) => answer(connection, &id, &method),
        _ => {}
    }
}

async fn listen(connection: &Arc<HttpConnection>, agreement: &Agreement) -> Result<Round, Failure> {
    let Some(params) = listen_params(agreement) else { return Ok(Round::NotOffered) };
    let outgoing = Outgoing { id: connection.ids.next(), method: method::LISTEN, params: Some(params) };
    // `list_changed` frames on this stream reach the signals; the answer only says that it ended.
    let answer =
        super::super::wire::Reply::Http(Box::new(connection.start(&outgoing).await?)).answer().await?;
    Ok(if answer.is_ok() { Round::Ended } else { Round::NotOffered })
}

/// Asks for the lists that the backend says may change; `None` if none may.
pub(in super::super) fn listen_params(agreement: &Agreement) -> Option<RawJson> {
    let mut wanted = serde_json::Map::new();
    for (list, filter) in [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ] {
        if agreement.list_may_change(list) {
            wanted.insert(filter.to_owned(), true.into());
        }
    }
    (!wanted.is_empty()).then(|| {
        RawJson::of(&json!({
            "notifications": wanted,
            "_meta": own_meta(),
        }))
    })
}
