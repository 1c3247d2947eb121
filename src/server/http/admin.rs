//! What do operators see? Metrics, health and status, on a listener of their own.
//!
//! Bound to loopback, it answers to loopback names and `server.allowed_hosts` only, so that no web page reads
//! it through a browser on this machine. Bound to anything else, it is asked by names that cannot be known
//! here (a container's, a probe's), so every `Host` is served. It has no authentication either way.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::Activity;
use super::connections::Connections;
use super::hardening;
use super::listen::Acceptor;
use super::respond::{self, Body};
use crate::server::Server;
use crate::server::caught::caught;
use crate::server::error::Error;
use crate::telemetry::process;

const PATHS: &[&str] = &["/metrics", "/livez", "/readyz", "/status"];
const CONNECTIONS: usize = 64;
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

/// What the operators' endpoint shows.
pub struct Admin {
    /// The server it tells about.
    pub server: Arc<Server>,
    /// Where clients are really listened for: a free port, or a socket that another process passed.
    pub listen: SocketAddr,
    /// Writes all metrics in the Prometheus text format.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// What there is to say of the configuration in force.
    pub config: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// Serves operators on `listener` until `stop`, which should come after the drain, so that they can watch it;
/// what is being answered then is cut off by `killed`.
pub async fn serve_admin(
    listener: TcpListener,
    admin: Arc<Admin>,
    stop: CancellationToken,
    killed: CancellationToken,
) {
    let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let acceptor = Acceptor {
        connections: Connections::up_to(CONNECTIONS),
        header_timeout: admin.server.policy().limits.header_timeout,
        linger: Duration::ZERO,
        stop,
        killed,
    };
    acceptor
        .run(listener, None, move |connection, request| {
            let admin = Arc::clone(&admin);
            async move {
                connection.begin(Activity::Calling);
                let mut response = admin.answer(request, is_local).await;
                response.body_mut().serve_on(connection);
                response
            }
        })
        .await;
}

impl Admin {
    async fn answer(&self, request: Request<Incoming>, is_local: bool) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let answered =
            caught(pin!(async { self.route(&parts, is_local) })).await.unwrap_or(Err(Error::Panicked));
        let response =
            answered.unwrap_or_else(|error| error.into_response(None, &self.server.request_ids.draw()));
        process::http_request("admin", response.status().as_u16());
        response
    }

    fn route(&self, request: &http::request::Parts, is_local: bool) -> Result<Response<Body>, Error> {
        hardening::check(request)?;
        if is_local {
            self.server.policy().origins.check(&request.headers)?;
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Error::MethodNotAllowed("GET, HEAD"));
        }
        match request.uri.path() {
            "/metrics" => Ok(respond::text(METRICS_TYPE, (self.metrics)())),
            "/livez" => Ok(respond::text("text/plain", "alive\n".to_owned())),
            "/readyz" => Ok(self.ready()),
            "/status" => {
                let status = self.status();
                let text = if is_browser(request) { format!("{status:#}\n") } else { status.to_string() };
                Ok(respond::json(StatusCode::OK, bytes::Bytes::from(text)))
            }
            _ => Err(Error::UnknownPath(PATHS)),
        }
    }

    fn ready(&self) -> Response<Body> {
        let reason = match (self.server.state(), self.server.is_full()) {
            ("serving", false) => {
                let bounds = self.server.reached_bounds();
                let said = if bounds.is_empty() {
                    String::new()
                } else {
                    format!(", at the bound of {}", bounds.join(", "))
                };
                return respond::text("text/plain", format!("ready{said}\n"));
            }
            ("serving", true) => "full: each connection has a call in flight",
            (state, _) => state,
        };
        let mut response = respond::text("text/plain", format!("{reason}\n"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }

    fn status(&self) -> serde_json::Value {
        let server = &self.server;
        let mut status = json!(server.router.status());
        if let Some(members) = status.as_object_mut() {
            members.insert("config".to_owned(), (self.config)());
            members.insert(
                "server".to_owned(),
                json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "state": server.state(),
                    "uptime_seconds": server.started.elapsed().as_secs(),
                    "listen": self.listen,
                    "connections": server.connection_usage().map(|(open, bound)| json!({ "open": open, "bound": bound })),
                    "sessions": { "http": server.sessions.len(), "sse": server.pairs.len() },
                }),
            );
        }
        status
    }
}

/// Whether a person reads the answer: programs do not ask for pages.
fn is_browser(request: &http::request::Parts) -> bool {
    let mut accepted = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/html"))
}
