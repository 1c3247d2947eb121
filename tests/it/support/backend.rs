//! A backend that says exactly what a test tells it to, over Streamable HTTP, and keeps what it was asked.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinHandle, JoinSet};

use super::message::{Message, error, result};
use super::port;

/// The era a backend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// 2025-11-25, in a session that is called `session-1`, the next one `session-2`.
    Legacy,
    /// 2026-07-28.
    Modern,
    /// Either, as it is asked.
    Both,
}

/// One HTTP request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) verb: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) message: Message,
    /// Counts from 0.
    pub(crate) connection: usize,
}

/// What to answer it with.
pub(crate) enum Answer {
    /// The text of a result.
    Result(String),
    /// The text of an error.
    Error(String),
    /// Any status and body.
    Http(u16, String),
    /// A refusal, and its `WWW-Authenticate`.
    Challenge(u16, String),
    /// Any status, with a header.
    Headed(u16, (&'static str, &'static str)),
    /// Any status, headers and body.
    Whole(u16, Vec<(&'static str, String)>, Bytes),
    /// An event stream, as it is written.
    Stream(Receiver<String>),
    /// The same, with a cookie.
    CookieStream(String, Receiver<String>),
    /// Whole messages as events, until the sender is dropped.
    Events(Receiver<String>),
    /// The end of the connection.
    HangUp,
    /// The ordinary thing.
    Ordinary,
    /// When the future says so.
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl Answer {
    pub(crate) fn later(answer: impl Future<Output = Answer> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }

    pub(crate) fn never() -> Self {
        Self::later(std::future::pending())
    }
}

type Script = dyn Fn(&Asked) -> Option<Answer> + Send + Sync;

/// Runs until it is dropped.
pub(crate) struct RawBackend {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl RawBackend {
    /// A backend with `tools` (the text of an array) that asks `script` first and does the ordinary
    /// thing where it has no answer.
    pub(crate) async fn start(
        speaks: Speaks,
        tools: &str,
        script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = port::listener().await;
        Self::serve(listener, speaks, tools, true, script)
    }

    /// A legacy backend with one resource, which can be watched.
    pub(crate) async fn with_resource() -> Self {
        const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{"subscribe":true}},"serverInfo":{"name":"raw","version":"1"}}"#;
        Self::start(Speaks::Legacy, "[]", |asked| {
            let text = match asked.message.method.as_str() {
                "initialize" => INITIALIZED,
                "resources/list" => r#"{"resources":[{"uri":"a://1","name":"1"}]}"#,
                "resources/subscribe" => "{}",
                _ => return None,
            };
            Some(Answer::Result(text.to_owned()))
        })
        .await
    }

    /// A backend with `tools` as [`RawBackend::start`] takes them, on a listener. Each connection is closed after one response, so that none is left to be reused
    /// once the backend is gone.
    pub(crate) fn start_on(
        listener: TcpListener,
        speaks: Speaks,
        tools: &str,
        script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(listener, speaks, tools, false, script)
    }

    fn serve(
        listener: TcpListener,
        speaks: Speaks,
        tools: &str,
        keep_alive: bool,
        script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let peer = Arc::new(Peer {
            speaks,
            tools: tools.to_owned(),
            script: Box::new(script),
            asked: Arc::clone(&asked),
        });
        Self { url, asked, task: tokio::spawn(accept(listener, peer, keep_alive)) }
    }

    /// A line of configuration for it.
    pub(crate) fn entry(&self, name: &str) -> String {
        self.entry_with(name, "type: http")
    }

    /// The same, with more settings.
    pub(crate) fn entry_with(&self, name: &str, settings: &str) -> String {
        format!("  {name}: {{ url: \"{}\", {settings} }}\n", self.url)
    }

    /// Its address without a path.
    pub(crate) fn origin(&self) -> &str {
        self.url.trim_end_matches("/mcp")
    }

    /// Every HTTP request so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// Every message with this method so far.
    pub(crate) fn asked(&self, method: &str) -> Vec<Asked> {
        self.asked.lock().iter().filter(|asked| asked.message.method == method).cloned().collect()
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Peer {
    speaks: Speaks,
    tools: String,
    script: Box<Script>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

async fn accept(listener: TcpListener, peer: Arc<Peer>, keep_alive: bool) {
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else { break };
        let peer = Arc::clone(&peer);
        let service = service_fn(move |request| {
            let peer = Arc::clone(&peer);
            async move { peer.answer(request, connection).await }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        connections.spawn(http.keep_alive(keep_alive).serve_connection(TokioIo::new(stream), service));
    }
}

impl Peer {
    async fn answer(&self, request: Request<Incoming>, connection: usize) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let message = Message::parse(&body).unwrap_or_default();
        let path = parts.uri.to_string();
        let asked = Asked { verb: parts.method, path, headers: parts.headers, message, connection };
        self.asked.lock().push(asked.clone());
        let mut answer = (self.script)(&asked).unwrap_or(Answer::Ordinary);
        while let Answer::Later(later) = answer {
            answer = later.await;
        }
        if matches!(answer, Answer::Ordinary) {
            answer = self.ordinary(&asked);
        }
        let id = asked.message.id.as_deref().unwrap_or("null");
        let mut response = match answer {
            Answer::Result(text) => respond(200, "application/json", Body::of(result(id, &text))),
            Answer::Error(text) => respond(200, "application/json", Body::of(error(id, &text))),
            Answer::Http(status, text) => respond(status, "application/json", Body::of(text)),
            Answer::Challenge(status, value) => {
                let mut refusal = respond(status, "application/json", Body::of(String::new()));
                refusal.headers_mut().insert("www-authenticate", value.parse().unwrap());
                refusal
            }
            Answer::Headed(status, (name, value)) => {
                let mut response = respond(status, "application/json", Body::of(String::new()));
                response.headers_mut().insert(name, value.parse().unwrap());
                response
            }
            Answer::Whole(status, headers, body) => {
                let mut response = respond(status, "application/json", Body::Whole(Some(body)));
                for (name, value) in headers {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                response
            }
            Answer::Stream(text) => respond(200, "text/event-stream", Body::Stream(text)),
            Answer::CookieStream(cookie, text) => {
                let mut response = respond(200, "text/event-stream", Body::Stream(text));
                response.headers_mut().insert("set-cookie", cookie.parse().unwrap());
                response
            }
            Answer::Events(events) => respond(200, "text/event-stream", Body::Events(events)),
            Answer::HangUp => return Err(io::Error::other("as the script says")),
            Answer::Ordinary | Answer::Later(_) => unreachable!(),
        };
        if asked.message.method == "initialize" {
            let opened =
                self.asked.lock().iter().filter(|asked| asked.message.method == "initialize").count();
            response.headers_mut().insert("mcp-session-id", format!("session-{opened}").parse().unwrap());
        }
        Ok(response)
    }

    fn ordinary(&self, asked: &Asked) -> Answer {
        if asked.verb != Method::POST {
            return Answer::Http(405, String::new());
        }
        match (asked.message.method.as_str(), self.speaks) {
            ("initialize", Speaks::Legacy | Speaks::Both) => Answer::Result(INITIALIZED.to_owned()),
            ("server/discover", Speaks::Modern | Speaks::Both) => Answer::Result(DISCOVERED.to_owned()),
            ("initialize" | "server/discover", _) => Answer::Error(UNKNOWN.to_owned()),
            ("tools/list", _) => Answer::Result(format!(r#"{{"tools":{}}}"#, self.tools)),
            ("tools/call", _) => Answer::Result(r#"{"content":[]}"#.to_owned()),
            // A notification, or the answer to a question.
            ("", _) => Answer::Http(202, String::new()),
            _ if asked.message.id.is_none() => Answer::Http(202, String::new()),
            _ => Answer::Error(UNKNOWN.to_owned()),
        }
    }
}

const UNKNOWN: &str = r#"{"code":-32601,"message":"method not found"}"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"raw","version":"1"}}"#;
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"private"}"#;

fn respond(status: u16, content_type: &str, body: Body) -> Response<Body> {
    Response::builder().status(status).header("content-type", content_type).body(body).unwrap()
}

enum Body {
    Whole(Option<Bytes>),
    Events(Receiver<String>),
    Stream(Receiver<String>),
}

impl Body {
    fn of(text: String) -> Self {
        Self::Whole(Some(text.into()))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |text: Bytes| Ok(Frame::data(text));
        match self.get_mut() {
            Self::Whole(text) => Poll::Ready(text.take().map(frame)),
            Self::Stream(text) => text.poll_recv(cx).map(|text| text.map(|text| frame(text.into()))),
            Self::Events(events) => {
                events.poll_recv(cx).map(|event| event.map(|text| frame(event_of(&text))))
            }
        }
    }
}

fn event_of(text: &str) -> Bytes {
    let lines: String = text.split('\n').map(|line| format!("data: {line}\n")).collect();
    format!("{lines}\n").into()
}
