//! Where the browser comes back to: one path on a loopback port, for as long as a command runs
//! (RFC 8252, section 7.3).

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backend::{Callback, Pending};

const PATH: &str = "/callback";
/// Connections at a time; a browser opens a few.
const CONNECTIONS: usize = 8;
/// For the last page to be sent.
const SEND: Duration = Duration::from_secs(1);

/// Listens for the browser.
pub(super) struct Listener {
    listener: TcpListener,
    port: u16,
}

impl Listener {
    /// Listens on `port` of 127.0.0.1, or on a free one.
    pub(super) async fn bind(port: Option<u16>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))
            .await
            .context("failed to listen for the browser; is `auth.callback_port` in use?")?;
        let port = listener.local_addr().context("failed to read the address listened on")?.port();
        Ok(Self { listener, port })
    }

    /// The redirect URI.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the callback that belongs to `pending`; any other is refused and forgotten.
    pub(super) async fn callback(&self, pending: &Pending) -> anyhow::Result<Callback> {
        let (sender, mut callbacks) = mpsc::channel::<Told>(CONNECTIONS);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(Told { callback, answer }) = callbacks.recv() => {
                    let is_ours = pending.owns(&callback);
                    let _ = answer.send(is_ours);
                    if is_ours {
                        let _ = timeout(SEND, connections.join_all()).await;
                        return Ok(callback);
                    }
                }
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted.context("failed to accept the browser")?;
                    while connections.len() >= CONNECTIONS {
                        connections.join_next().await;
                    }
                    connections.spawn(serve(TokioIo::new(stream), sender.clone()));
                }
            }
        }
    }
}

/// A callback, and where to say whether it was waited for.
struct Told {
    callback: Callback,
    answer: oneshot::Sender<bool>,
}

async fn serve(stream: TokioIo<tokio::net::TcpStream>, told: mpsc::Sender<Told>) {
    let service = service_fn(move |request| {
        let told = told.clone();
        async move { Ok::<_, Infallible>(answer(&request, &told).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).keep_alive(false);
    let _ = builder.serve_connection(stream, service).await;
}

async fn answer(request: &Request<Incoming>, told: &mpsc::Sender<Told>) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return page(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    let Some(callback) = Callback::read(request.uri().query().unwrap_or_default()) else {
        return page(StatusCode::BAD_REQUEST, "This is no answer of an authorization server.");
    };
    let (answer, answered) = oneshot::channel();
    let _ = told.send(Told { callback, answer }).await;
    match answered.await {
        Ok(true) => {
            page(StatusCode::OK, "Back to the terminal: it says how it went. This page can be closed.")
        }
        _ => page(StatusCode::BAD_REQUEST, "This answer belongs to another question."),
    }
}

/// Nothing that came in is shown.
fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
