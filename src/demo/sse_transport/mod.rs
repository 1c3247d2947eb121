//! How does the HTTP+SSE transport of MCP 2024-11-05 work?
//!
//! `GET /sse` opens a stream whose first event names an address; the client POSTs its messages there and is answered
//! 202; everything the server says comes down the stream (MCP 2024-11-05, basic/transports). The stream is the session:
//! when it closes, the session is gone.

mod event_stream;
mod sessions;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN},
};
use rmcp::{ServerHandler, model::ClientJsonRpcMessage, service::serve_server_with_ct};
use tokio_util::sync::CancellationToken;

use self::{
    event_stream::EventStream,
    sessions::{SessionTransport, Sessions},
};
use super::serve::Answer;

const MAX_BODY_BYTES: usize = 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a message waits for a session that is busy.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves a new handler to every client that opens a stream.
pub(super) struct SseServer<F> {
    factory: F,
    sessions: Arc<Sessions>,
    stop: CancellationToken,
}

impl<F, S> SseServer<F>
where
    F: Fn() -> S,
    S: ServerHandler,
{
    /// `stop` ends all sessions and their streams.
    pub(super) fn new(factory: F, stop: CancellationToken) -> Self {
        Self { factory, sessions: Arc::default(), stop }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        if !is_local(request.headers()) {
            return text(StatusCode::FORBIDDEN, "this server answers only to loopback names");
        }
        match (request.uri().path(), request.method()) {
            ("/sse", &Method::GET) => self.open(),
            ("/messages", &Method::POST) => self.accept(request).await,
            ("/sse", _) => not_allowed("GET"),
            ("/messages", _) => not_allowed("POST"),
            _ => text(StatusCode::NOT_FOUND, "open the stream at /sse"),
        }
    }

    fn open(&self) -> Answer {
        let Some((ticket, transport, outgoing)) = Sessions::open(&self.sessions) else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many open streams; close one and try again");
        };
        let endpoint = format!("/messages?session_id={}", ticket.id());
        self.run_session(transport);
        let mut response = Response::new(EventStream::new(&endpoint, outgoing, ticket).boxed());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// The task ends with its session: when the stream closes, when the handshake fails, or on `stop`.
    fn run_session(&self, transport: SessionTransport) {
        let service = serve_server_with_ct((self.factory)(), transport, self.stop.child_token());
        tokio::spawn(async move {
            if let Ok(running) = service.await {
                // Why it ended is of interest to nobody: the stream is closed either way.
                let _ = running.waiting().await;
            }
        });
    }

    async fn accept(&self, request: Request<Incoming>) -> Answer {
        let Some(session) = session_id(request.uri()).and_then(|id| self.sessions.find(id)) else {
            return text(StatusCode::NOT_FOUND, "no such session; open a new stream at /sse");
        };
        if !is_json(request.headers()) {
            return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type must be application/json");
        }
        let message = match read_message(request.into_body()).await {
            Ok(message) => message,
            Err(refusal) => return refusal,
        };
        match session.send_timeout(message, QUEUE_TIMEOUT).await {
            Ok(()) => text(StatusCode::ACCEPTED, "accepted"),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the session takes no messages; try again"),
        }
    }
}

async fn read_message(body: Incoming) -> Result<ClientJsonRpcMessage, Answer> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let whole = whole.map_err(|_| text(StatusCode::REQUEST_TIMEOUT, "the body took more than 10 seconds"))?;
    let bytes = whole.map_err(refuse_body)?.to_bytes();
    serde_json::from_slice(&bytes)
        .map_err(|_| text(StatusCode::BAD_REQUEST, "the body is not one JSON-RPC message"))
}

fn refuse_body(error: Box<dyn std::error::Error + Send + Sync>) -> Answer {
    if error.is::<LengthLimitError>() {
        text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB")
    } else {
        text(StatusCode::BAD_REQUEST, "the body ended early")
    }
}

fn session_id(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("session_id="))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A page in a browser can reach 127.0.0.1 under a name of its own (DNS rebinding), but cannot forge these headers.
fn is_local(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let one_local_host = matches!((hosts.next(), hosts.next()), (Some(host), None) if names_loopback(host));
    let local_origin = headers.get_all(ORIGIN).iter().all(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        authority
            .and_then(|authority| HeaderValue::from_str(authority).ok())
            .is_some_and(|host| names_loopback(&host))
    });
    one_local_host && local_origin
}

fn names_loopback(authority: &HeaderValue) -> bool {
    let authority = authority.to_str().ok().and_then(|text| text.parse::<hyper::http::uri::Authority>().ok());
    let host = authority.as_ref().map(|authority| authority.host()).unwrap_or_default();
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

fn not_allowed(method: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

fn text(status: StatusCode, message: &'static str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from_static(message.as_bytes())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_loopback_names_are_answered() {
        let good = [
            headers(&[("host", "127.0.0.1:7402")]),
            headers(&[("host", "LOCALHOST")]),
            headers(&[("host", "[::1]:7402"), ("origin", "http://localhost:3000")]),
        ];
        let bad = [
            headers(&[]),
            headers(&[("host", "rebound.example.com:7402")]),
            headers(&[("host", "localhost.example.com")]),
            headers(&[("host", "localhost@example.com")]),
            headers(&[("host", "localhost"), ("host", "localhost")]),
            headers(&[("host", "localhost"), ("origin", "https://example.com")]),
            headers(&[("host", "localhost"), ("origin", "null")]),
        ];
        assert!(good.iter().all(is_local));
        assert_eq!(bad.iter().find(|headers| is_local(headers)), None);
    }

    #[test]
    fn the_session_is_named_by_the_query_alone() {
        let id = |uri: &'static str| session_id(&Uri::from_static(uri)).map(str::to_owned);
        assert_eq!(id("/messages?session_id=a1"), Some("a1".into()));
        assert_eq!(id("/messages?x=1&session_id=a1&y=2"), Some("a1".into()));
        assert_eq!(id("/messages?xsession_id=a1"), None);
        assert_eq!(id("/messages"), None);
    }
}
