//! What does the gateway answer by itself: the handshake, discovery, lists.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::json;

use super::Server;
use super::subscription::Subscription;
use crate::protocol::{Era, ListKind, Object, Pieces, RawJson, RequestMeta, Revision, RpcError, meta_key};
use crate::router::{Caller, Exchange};

/// The member of a list's `_meta` that names the backends whose part may be out of date.
const STALE: &str = "switchyard/stale";

/// How long a discovery may be kept, in milliseconds.
const DISCOVERY_TTL_MS: u64 = 60_000;

/// The gateway's own answer, once it has one.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<RawJson, RpcError>> + Send>>;

/// What a request turns out to be.
pub(super) enum Work {
    /// Answered already: the result.
    Ready(Pieces),
    /// Answered by the gateway, but not at once.
    Later(Answering),
    /// A backend answers.
    Routed(Exchange),
    /// Stays open.
    Subscription(Box<Subscription>),
}

/// `initialize`
pub(super) fn initialize(server: &Server, revision: Revision) -> RawJson {
    let mut result = Object::new();
    result.set("protocolVersion", RawJson::of(revision.as_str()));
    result.set("capabilities", server.router.capabilities(Era::Legacy));
    result.set("serverInfo", server.router.server_info());
    set_instructions(&mut result, server);
    result.to_json()
}

/// `server/discover`, once what it depends on is known.
pub(super) fn begin_discover(server: &Arc<Server>) -> Work {
    let Some(settling) = server.router.settling(None) else { return Work::Ready(discover(server).into()) };
    let server = Arc::clone(server);
    Work::Later(Box::pin(async move {
        settling.await;
        Ok(discover(&server))
    }))
}

/// `server/discover`
pub(super) fn discover(server: &Server) -> RawJson {
    let mut result = complete();
    result.set("supportedVersions", RawJson::of(&modern_versions()));
    result.set("capabilities", server.router.capabilities(Era::Modern));
    set_instructions(&mut result, server);
    set_caching(&mut result, server, DISCOVERY_TTL_MS, true);
    result.set("_meta", meta(server, Era::Modern, &[]));
    result.to_json()
}

/// One of the lists, once it is known what it shows.
pub(super) fn begin_list(
    server: &Arc<Server>,
    caller: Caller,
    kind: ListKind,
    params: Option<RawJson>,
) -> Result<Work, RpcError> {
    // What a client goes on with is there already.
    let is_first = params.as_ref().is_none_or(|params| params.get("cursor").is_none());
    let Some(settling) = is_first.then(|| server.router.settling(Some(kind))).flatten() else {
        return list(server, &caller, kind, params.as_ref()).map(Work::Ready);
    };
    let server = Arc::clone(server);
    Ok(Work::Later(Box::pin(async move {
        settling.await;
        list(&server, &caller, kind, params.as_ref()).map(|result| RawJson::authored(result.join()))
    })))
}

fn list(
    server: &Server,
    caller: &Caller,
    kind: ListKind,
    params: Option<&RawJson>,
) -> Result<Pieces, RpcError> {
    let cursor = params.and_then(|params| params.get("cursor")).filter(|cursor| !cursor.is_null());
    let cursor = match &cursor {
        Some(raw) => Some(raw.string().ok_or_else(|| RpcError::invalid_params("`cursor` must be a string"))?),
        None => None,
    };
    let page = server.router.list(kind, caller, cursor.as_deref())?;
    let era = caller.revision.era();
    let mut result = if era == Era::Modern { complete() } else { Object::new() };
    result.set(kind.member(), RawJson::authored(page.entries));
    if let Some(next) = &page.next_cursor {
        result.set("nextCursor", RawJson::of(next));
    }
    if era == Era::Modern {
        set_caching(&mut result, server, page.ttl_ms, page.is_public);
    }
    if era == Era::Modern || !page.stale.is_empty() {
        result.set("_meta", meta(server, era, &page.stale));
    }
    // The entries are the catalog's own, however many there are.
    Ok(result.to_pieces(kind.member()))
}

/// The revisions a stateless request may name.
pub(super) fn modern_versions() -> Vec<&'static str> {
    Revision::ALL.iter().filter(|revision| revision.era() == Era::Modern).map(|r| r.as_str()).collect()
}

/// A relayed result as the modern era needs it: `resultType` is added where a legacy backend said none,
/// every byte that is there stays.
pub(super) fn with_result_type(result: RawJson) -> Pieces {
    const TYPE: &str = "{\"resultType\":\"complete\"";
    if !result.is_object() || result.get("resultType").is_some() {
        return result.into();
    }
    let rest = &result.as_bytes()[1..];
    let is_empty = rest.trim_ascii_start() == b"}";
    let opening = if is_empty { TYPE.into() } else { [TYPE, ","].concat().into() };
    Pieces::reopened(opening, &result)
}

/// The level that `_meta` asks for.
pub(super) fn log_level(meta: &RequestMeta) -> Result<Option<crate::protocol::LogLevel>, RpcError> {
    let Some(name) = &meta.log_level else { return Ok(None) };
    let level = crate::protocol::LogLevel::parse(name);
    level.map(Some).ok_or_else(|| RpcError::invalid_params("the log level is none of RFC 5424's"))
}

fn complete() -> Object {
    let mut result = Object::new();
    result.set("resultType", RawJson::of_spelt(r#""complete""#));
    result
}

fn set_instructions(result: &mut Object, server: &Server) {
    if let Some(instructions) = server.router.instructions() {
        result.set("instructions", RawJson::of(&instructions));
    }
}

/// Clients that are told apart may come to see different things, so nothing is shared between them.
fn set_caching(result: &mut Object, server: &Server, ttl_ms: u64, is_public: bool) {
    let is_open = server.policy.load().authenticator.is_open();
    let scope = if is_public && is_open { r#""public""# } else { r#""private""# };
    result.set("ttlMs", RawJson::of(&ttl_ms));
    result.set("cacheScope", RawJson::of_spelt(scope));
}

fn meta(server: &Server, era: Era, stale: &[String]) -> RawJson {
    let mut meta = Object::new();
    if era == Era::Modern {
        meta.set(meta_key::SERVER_INFO, server.router.server_info());
    }
    if !stale.is_empty() {
        meta.set(STALE, RawJson::of(&json!(stale)));
    }
    meta.to_json()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_result_gets_a_type_only_where_it_has_none_and_keeps_its_bytes() {
        let typed = |text: &'static str| with_result_type(RawJson::parse(text.into()).unwrap());
        assert_eq!(typed(r#"{ "a" : 1.0 }"#).join(), r#"{"resultType":"complete", "a" : 1.0 }"#);
        assert_eq!(typed("{ }").join(), r#"{"resultType":"complete" }"#);
        let asked = r#"{"x":{"resultType":1},"resultType":"input_required"}"#;
        assert_eq!(typed(asked).join(), asked);
    }
}
