//! Which path leads where, and what is checked before?
//!
//! In this order: framing, `Host` and `Origin`, path, method, who is calling. Only then is a body read.

use std::pin::pin;
use std::sync::Arc;

use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

use super::connection::{Activity, Connection};
use super::respond::Body;
use super::{cors, hardening, legacy, mcp, sse_pair};
use crate::resilience::Holder;
use crate::router::{Principal, RequestId};
use crate::server::caught::caught;
use crate::server::error::Error;
use crate::server::policy::Policy;
use crate::server::refusal_log;
use crate::server::{Server, auth};
use crate::telemetry::process;

const PATHS: &[&str] = &["/mcp", "/sse", "/messages"];

/// What every handler is told about a request, beside its body.
pub(super) struct Context {
    pub(super) server: Arc<Server>,
    pub(super) policy: Arc<Policy>,
    pub(super) principal: Principal,
    pub(super) request_id: RequestId,
    pub(super) headers: HeaderMap,
    pub(super) query: Option<String>,
    pub(super) connection: Arc<Connection>,
}

impl Context {
    /// To whom what the request takes up is attributed.
    pub(super) fn holder(&self) -> Holder {
        self.connection.holder(&self.principal)
    }
}

/// Where requests of clients go.
#[derive(Clone, Copy)]
enum Endpoint {
    /// Streamable HTTP, both eras.
    Mcp,
    /// HTTP+SSE: the stream.
    Sse,
    /// HTTP+SSE: what the client sends.
    Messages,
}

impl Endpoint {
    /// A slash at the end changes nothing: clients add one, and many follow no redirect of a POST.
    fn of(path: &str) -> Option<Self> {
        match path.strip_suffix('/').unwrap_or(path) {
            "/mcp" => Some(Self::Mcp),
            "/sse" => Some(Self::Sse),
            "/messages" => Some(Self::Messages),
            _ => None,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Sse => "sse",
            Self::Messages => "messages",
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Mcp => "POST, GET, DELETE, OPTIONS",
            Self::Sse => "GET, OPTIONS",
            Self::Messages => "POST, OPTIONS",
        }
    }
}

/// Answers one request; whatever happens, with a response.
pub(super) async fn answer(
    server: Arc<Server>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Response<Body> {
    connection.begin(Activity::Receiving);
    let endpoint = Endpoint::of(request.uri().path());
    let request_id = server.request_ids.draw().from_peer(connection.peer());
    let (policy, draining) = (server.policy(), server.draining());
    let (parts, body) = request.into_parts();
    let is_last = hardening::is_last(&parts);
    let screened = hardening::check(&parts).and_then(|()| policy.origins.check(&parts.headers));
    let page = screened.as_ref().ok().cloned().flatten();
    let asked = Asked { server, policy, connection: Arc::clone(&connection), request_id };
    let work = pin!(async {
        screened?;
        route(asked, endpoint, parts, body).await
    });
    let mut response =
        caught(work).await.unwrap_or(Err(Error::Panicked)).unwrap_or_else(|error| refuse(error, &request_id));
    if let Some(page) = page {
        cors::expose(&mut response, page);
    }
    // A connection that stays would end with a request on its way.
    if is_last || draining.is_cancelled() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    process::http_request(endpoint.map_or("other", Endpoint::label), response.status().as_u16());
    response.body_mut().serve_on(connection);
    response
}

/// What is known of a request before it is looked at.
struct Asked {
    server: Arc<Server>,
    policy: Arc<Policy>,
    connection: Arc<Connection>,
    request_id: RequestId,
}

async fn route(
    asked: Asked,
    endpoint: Option<Endpoint>,
    parts: http::request::Parts,
    body: Incoming,
) -> Result<Response<Body>, Error> {
    let Asked { server, policy, connection, request_id } = asked;
    let endpoint = endpoint.ok_or(Error::UnknownPath(PATHS))?;
    if !endpoint.methods().split(", ").any(|method| method == parts.method.as_str()) {
        return Err(Error::MethodNotAllowed(endpoint.methods()));
    }
    if parts.method == Method::OPTIONS {
        return Ok(cors::preflight(&parts.headers));
    }
    let principal = policy
        .authenticator
        .authenticate(&parts.headers)
        .inspect_err(|_| auth::count_failure(&parts.headers))?;
    if !connection.is_of(&principal) && !Box::pin(connection.authenticated(&principal)).await {
        return Err(Error::TooManyConnections);
    }
    let context = Context {
        server,
        policy,
        principal,
        request_id,
        connection,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
    };
    match (endpoint, parts.method) {
        (Endpoint::Mcp, Method::POST) => mcp::post(context, body).await,
        (Endpoint::Mcp, Method::DELETE) => legacy::end(&context),
        (Endpoint::Mcp, _) => legacy::listen(&context),
        (Endpoint::Sse, _) => sse_pair::open(&context),
        (Endpoint::Messages, _) => sse_pair::post(context, body).await,
    }
}

fn refuse(error: Error, request_id: &RequestId) -> Response<Body> {
    if let Some(reason) = error.reason() {
        process::refused(reason);
    }
    refusal_log::note(&error, request_id, None);
    error.into_response(None, request_id)
}
