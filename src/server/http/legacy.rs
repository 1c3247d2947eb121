//! How are the requests of a session answered over HTTP (MCP 2025-03-26 to 2025-11-25, basic/transports)?

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::body::accepts;
use super::endpoint::Context;
use super::http_session::HttpSession;
use super::relay::Relay;
use super::respond::{self, Body, empty, json};
use super::resumable::{Resumed, Stream};
use super::session_shares::SessionClaim;
use super::stream::NoticeWriter;
use crate::protocol::{
    self, Era, Id, Malformed, Message, RawJson, RequestMeta, Revision, RpcError, frame, header, method,
};
use crate::server::answers::Work;
use crate::server::calls::Calls;
use crate::server::error::Error;
use crate::server::notices::Notices;
use crate::server::session::Session;
use crate::server::{batch, legacy};

/// Answers one request: the one that opens a session, or one of a session.
pub(super) async fn answer(
    context: &Context,
    id: &Id,
    name: &str,
    params: Option<RawJson>,
    meta: RequestMeta,
) -> Result<Response<Body>, Error> {
    if name == method::INITIALIZE && !context.headers.contains_key(header::SESSION_ID) {
        return initialize(context, id, params.as_ref()).await;
    }
    let session = session_of(context)?;
    let _kept = is_kept(name).then(|| Stirring(context));
    let work = legacy::begin(&context.server, &session.session, &context.request_id, name, params, meta)
        .map_err(|error| Error::Rpc(StatusCode::OK, error))?;
    match work {
        Work::Ready(result) => Ok(json(StatusCode::OK, frame::result_pieces(id, result))),
        Work::Later(answering) => {
            let result = answering.await.map_err(|error| Error::Rpc(StatusCode::OK, error))?;
            Ok(json(StatusCode::OK, frame::result_pieces(id, result)))
        }
        Work::Routed(exchange) => {
            let call = Some(session.session.calls.begin(id));
            let keep_alive = context.policy.limits.keep_alive;
            let relay = Relay {
                exchange,
                id: id.clone(),
                era: Era::Legacy,
                session: Some(session),
                call,
                keep_alive,
            };
            Ok(relay.respond(&context.server, accepts(&context.headers, "text/event-stream")).await)
        }
        Work::Subscription(_) => Err(Error::Rpc(StatusCode::OK, RpcError::method_not_found(method::LISTEN))),
    }
}

async fn initialize(context: &Context, id: &Id, params: Option<&RawJson>) -> Result<Response<Body>, Error> {
    let (session, result) = legacy::initialize(&context.server, &context.principal, params, Calls::new())
        .await
        .map_err(|error| Error::Rpc(StatusCode::OK, error))?;
    let session_id =
        context.server.sessions.open(session, claim(context), &context.server.router.sealer())?;
    let mut response = json(StatusCode::OK, frame::result_pieces(id, result));
    if let Ok(value) = HeaderValue::from_str(&session_id) {
        response.headers_mut().insert(header::SESSION_ID, value);
    }
    Ok(response)
}

fn claim(context: &Context) -> SessionClaim {
    SessionClaim { holder: context.holder(), limit: context.policy.limits.sessions }
}

/// Takes a notification.
pub(super) fn notification(
    context: &Context,
    name: &str,
    params: Option<&RawJson>,
) -> Result<Response<Body>, Error> {
    legacy::notice(&session_of(context)?.session, name, params);
    Ok(empty(StatusCode::ACCEPTED))
}

/// Takes the client's answer to a question of a backend.
pub(super) fn response(context: &Context, response: protocol::Response) -> Result<Response<Body>, Error> {
    session_of(context)?.session.calls.answer(response);
    Ok(empty(StatusCode::ACCEPTED))
}

/// Answers a batch, which only one revision has.
pub(super) async fn batch(
    context: &Context,
    items: Vec<Result<Message, Box<Malformed>>>,
) -> Result<Response<Body>, Error> {
    let has_session = context.headers.contains_key(header::SESSION_ID);
    // One that is unknown is told as such: its client has to begin anew.
    let session = if has_session { Some(session_of(context)?) } else { None };
    let session = session.filter(|found| found.session.revision == Revision::V2025_03_26);
    let Some(session) = session else {
        return Err(Error::invalid(RpcError::invalid_request(
            "batches are only taken in a session of 2025-03-26",
        )));
    };
    let work = batch::answer(Arc::clone(&context.server), session, items).map_err(Error::invalid)?;
    let (done, answers) = tokio::sync::oneshot::channel();
    // In a task, because the client's leaving does not cancel what it asked for.
    context.server.spawn(async move {
        let _ = done.send(work.await);
    });
    match answers.await {
        Ok(Some(answers)) => Ok(json(StatusCode::OK, answers)),
        Ok(None) => Ok(empty(StatusCode::ACCEPTED)),
        Err(_) => Err(Error::Panicked),
    }
}

/// Opens a stream for messages that answer nothing, or goes on with a stream whose connection broke.
pub(super) fn listen(context: &Context) -> Result<Response<Body>, Error> {
    let session = stateful(context)?;
    if !accepts(&context.headers, "text/event-stream") {
        return Err(Error::NotAcceptable);
    }
    let last = context.headers.get(header::LAST_EVENT_ID).and_then(|last| last.to_str().ok());
    if let Some((stream, events, notices)) = last.and_then(|last| Stream::reopen(&session, last)) {
        write_notices(context, session, stream, notices);
        return Ok(respond::notices(events));
    }
    match last.map_or(Resumed::New, |last| session.streams.resume(last)) {
        Resumed::Events(events) => return Ok(respond::events(events)),
        // How a server says that it has no stream to offer.
        Resumed::Over => return Err(Error::MethodNotAllowed("POST")),
        Resumed::New => {}
    }
    let fresh = || Notices::new(&context.server, &session.session.updates);
    let (stream, events, notices) = Stream::open_notices(Arc::clone(&session), fresh);
    write_notices(context, session, stream, notices);
    Ok(respond::notices(events))
}

/// In a task, because another connection may take the stream over.
fn write_notices(context: &Context, session: Arc<HttpSession>, stream: Stream, notices: Notices) {
    let writer = NoticeWriter {
        open: session.listen(stream.number()),
        notices,
        keep_alive: context.policy.limits.keep_alive,
        shutdown: context.server.shutdown.clone(),
    };
    context.server.spawn(writer.run(stream));
}

/// Ends a session.
pub(super) fn end(context: &Context) -> Result<Response<Body>, Error> {
    stateful(context)?;
    let id = session_id(&context.headers).unwrap_or_default();
    context.server.sessions.end(id, &context.principal)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The session of a request that only makes sense within one.
fn stateful(context: &Context) -> Result<Arc<HttpSession>, Error> {
    if context.headers.contains_key(header::SESSION_ID) {
        session_of(context)
    } else {
        Err(Error::MethodNotAllowed("POST"))
    }
}

/// The session a request belongs to, in the version it was opened with.
fn session_of(context: &Context) -> Result<Arc<HttpSession>, Error> {
    let Some(id) = session_id(&context.headers) else {
        return Err(Error::invalid(RpcError::invalid_request(
            "a request without protocol version in `_meta` needs the header Mcp-Session-Id; begin with `initialize`",
        )));
    };
    let known = context.server.sessions.get(id, &context.principal);
    let session = known.or_else(|_unknown| take_over(context, id))?;
    match context.headers.get(header::PROTOCOL_VERSION) {
        Some(version) if version.as_bytes() != session.session.revision.as_str().as_bytes() => {
            let message = format!("the session speaks MCP-Protocol-Version {}", session.session.revision);
            Err(Error::invalid(RpcError::invalid_request(message)))
        }
        _ => Ok(session),
    }
}

/// The session that another process opened: the one before this, or another with the same keys.
fn take_over(context: &Context, id: &str) -> Result<Arc<HttpSession>, Error> {
    let server = &context.server;
    let held = |session: Session| session.held(server.router.begin_session());
    let sealer = server.router.sealer();
    let (session, set) = server.sessions.take_over(id, &context.principal, claim(context), &sealer, held)?;
    if !set.watches.is_empty() {
        let (router, session) = (Arc::clone(&server.router), Arc::clone(&session));
        server.spawn(async move {
            router.subscribe_all(&session.session.updates, set.watches, Era::Legacy).await;
        });
    }
    Ok(session)
}

/// Whether a request changes what is kept of its session.
fn is_kept(name: &str) -> bool {
    matches!(name, method::SET_LEVEL | method::SUBSCRIBE | method::UNSUBSCRIBE)
}

/// Has the session kept once its request is over.
struct Stirring<'a>(&'a Context);

impl Drop for Stirring<'_> {
    fn drop(&mut self) {
        self.0.server.sessions.stir();
    }
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::SESSION_ID)?.to_str().ok()
}
