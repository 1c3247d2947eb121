//! How do messages become server-sent events?

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use rmcp::model::ServerJsonRpcMessage;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior},
};

use super::sessions::Ticket;

/// How often a comment is sent, so that proxies keep the stream and a gone client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The body of an answer to `GET /sse`. Dropping it closes the session.
pub(super) struct EventStream {
    endpoint: Option<Bytes>,
    messages: mpsc::Receiver<ServerJsonRpcMessage>,
    keep_alive: Interval,
    _ticket: Ticket,
}

impl EventStream {
    /// A stream that first names `endpoint` and then carries `messages` until their sender is gone.
    pub(super) fn new(
        endpoint: &str,
        messages: mpsc::Receiver<ServerJsonRpcMessage>,
        ticket: Ticket,
    ) -> Self {
        let mut keep_alive = tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { endpoint: Some(event("endpoint", endpoint)), messages, keep_alive, _ticket: ticket }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(endpoint) = self.endpoint.take() {
            return Poll::Ready(Some(Ok(Frame::data(endpoint))));
        }
        if let Poll::Ready(message) = self.messages.poll_recv(cx) {
            return Poll::Ready(message.map(|message| Ok(Frame::data(message_event(&message)))));
        }
        self.keep_alive.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(b": keep-alive\n\n")))))
    }
}

/// JSON text has no raw line breaks, so one `data` line always holds it.
fn message_event(message: &ServerJsonRpcMessage) -> Bytes {
    match serde_json::to_string(message) {
        Ok(json) => event("message", &json),
        // A message of our own that has no JSON form: the client's deadline will notice that it never came.
        Err(_) => Bytes::from_static(b": a message could not be written\n\n"),
    }
}

fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use rmcp::{RoleServer, transport::Transport};

    use super::{
        super::sessions::{SessionTransport, Sessions},
        *,
    };

    fn opened() -> (EventStream, SessionTransport, Arc<Sessions>, String) {
        let sessions = Arc::new(Sessions::default());
        let (ticket, transport, outgoing) = Sessions::open(&sessions).unwrap();
        let id = ticket.id().to_owned();
        (EventStream::new("/messages?session_id=1", outgoing, ticket), transport, sessions, id)
    }

    async fn next(stream: &mut EventStream) -> Option<String> {
        let frame = stream.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_endpoint_comes_first_then_messages_then_the_end() {
        let (mut stream, mut transport, ..) = opened();
        let pong = serde_json::json!({ "jsonrpc": "2.0", "id": 7, "result": {} });
        let pong: ServerJsonRpcMessage = serde_json::from_value(pong).unwrap();
        Transport::<RoleServer>::send(&mut transport, pong).await.unwrap();
        drop(transport);
        assert_eq!(next(&mut stream).await.unwrap(), "event: endpoint\ndata: /messages?session_id=1\n\n");
        let message = next(&mut stream).await.unwrap();
        let json = message.strip_prefix("event: message\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["id"], 7);
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_alive_with_comments() {
        let (mut stream, _transport, ..) = opened();
        next(&mut stream).await.unwrap();
        let before = Instant::now();
        assert_eq!(next(&mut stream).await.unwrap(), ": keep-alive\n\n");
        assert_eq!(before.elapsed(), KEEP_ALIVE);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_takes_its_session_with_it() {
        let (stream, _transport, sessions, id) = opened();
        assert!(sessions.find(&id).is_some());
        drop(stream);
        assert!(sessions.find(&id).is_none());
    }
}
