//! How is a session opened, and what answers its requests?

use std::sync::Arc;

use super::Server;
use super::answers::{self, Answering, Work};
use super::calls::Calls;
use super::session::Session;
use crate::protocol::{Era, ListKind, LogLevel, RawJson, RequestMeta, Revision, Routed, RpcError, method};
use crate::router::{Inbound, Principal, RequestId};

/// Opens a session with what `initialize` says; the result is for the client. It waits for what instructions depend on.
///
/// # Errors
/// −32602 without a protocol version.
pub(super) async fn initialize(
    server: &Server,
    principal: &Principal,
    params: Option<&RawJson>,
    calls: Arc<Calls>,
) -> Result<(Session, RawJson), RpcError> {
    let requested = params.and_then(|params| params.get("protocolVersion"));
    let requested = requested.as_ref().and_then(RawJson::string);
    let requested =
        requested.ok_or_else(|| RpcError::invalid_params("`protocolVersion` must be a string"))?;
    let revision = Revision::negotiate(&requested);
    let capabilities = params.and_then(|params| params.get("capabilities")).filter(RawJson::is_object);
    let capabilities = capabilities.unwrap_or_else(RawJson::empty_object);
    let session = Session::new(principal.clone(), revision, capabilities, calls);
    let info = params.and_then(|params| params.get("clientInfo"));
    let session = session.of_client(info).held(server.router.begin_session());
    if let Some(settling) = server.router.settling(None) {
        settling.await;
    }
    Ok((session, answers::initialize(server, revision)))
}

/// Begins what a request of a session asks for.
///
/// # Errors
/// −32601 for methods the gateway does not offer, −32602 for parameters that cannot be used.
pub(super) fn begin(
    server: &Arc<Server>,
    session: &Session,
    request_id: &RequestId,
    name: &str,
    params: Option<RawJson>,
    meta: RequestMeta,
) -> Result<Work, RpcError> {
    if let Some(routed) = Routed::of(name, Era::Legacy) {
        let caller = session.caller(*request_id, meta);
        return Ok(Work::Routed(server.router.call(Inbound::new(routed, params, caller))));
    }
    if let Some(kind) = ListKind::of(name, Era::Legacy) {
        let caller = session.caller(*request_id, meta);
        return answers::begin_list(server, caller, kind, params);
    }
    match name {
        method::PING => Ok(Work::Ready(RawJson::empty_object().into())),
        method::SUBSCRIBE => Ok(Work::Later(subscribe(server, session, uri_of(params.as_ref())?))),
        method::UNSUBSCRIBE => {
            session.updates.unsubscribe(&uri_of(params.as_ref())?);
            Ok(Work::Ready(RawJson::empty_object().into()))
        }
        method::SET_LEVEL => set_level(session, params.as_ref()).map(|result| Work::Ready(result.into())),
        method::INITIALIZE => Err(RpcError::invalid_request("this session is initialized already")),
        _ => {
            let caller = session.caller(*request_id, meta);
            server.router.call_vendor(name, params, caller).map(Work::Routed)
        }
    }
}

/// Takes note of what a session's client says without wanting an answer.
pub(super) fn notice(session: &Session, name: &str, params: Option<&RawJson>) {
    match name {
        method::CANCELLED => session.calls.cancel(params),
        method::PROGRESS => session.calls.progress(params),
        method::ROOTS_CHANGED => session.roots_changed(),
        _ => {}
    }
}

/// Answers once the resource's backend knows of the subscription, or has had time enough.
fn subscribe(server: &Server, session: &Session, uri: String) -> Answering {
    let (router, updates) = (Arc::clone(&server.router), Arc::clone(&session.updates));
    Box::pin(
        async move { router.subscribe(&updates, &uri, Era::Legacy).await.map(|()| RawJson::empty_object()) },
    )
}

fn uri_of(params: Option<&RawJson>) -> Result<String, RpcError> {
    let uri = params.and_then(|params| params.get("uri")).and_then(|uri| uri.string().map(String::from));
    uri.ok_or_else(|| RpcError::invalid_params("`params.uri` must be a string"))
}

fn set_level(session: &Session, params: Option<&RawJson>) -> Result<RawJson, RpcError> {
    let level = params.and_then(|params| params.get("level"));
    let level = level.as_ref().and_then(RawJson::string).and_then(|name| LogLevel::parse(&name));
    session.set_level(level.ok_or_else(|| RpcError::invalid_params("`level` is none of RFC 5424's"))?);
    Ok(RawJson::empty_object())
}
