//! What must a stateless request say, and what answers it?

use std::sync::Arc;

use serde_json::json;

use super::Server;
use super::answers::{self, Work};
use super::subscription::Subscription;
use crate::protocol::{
    Era, Id, ListKind, RawJson, RequestMeta, Revision, Routed, RpcError, code, meta_key, method,
};
use crate::router::{Caller, Inbound, Principal, RequestId};

/// Checks what a request says about itself; `claimed` is the version it names anywhere
/// (MCP 2026-07-28, basic/index, `_meta`).
pub(super) fn check(
    meta: &RequestMeta,
    claimed: Option<&str>,
    principal: &Principal,
    request_id: &RequestId,
) -> Result<Caller, RpcError> {
    let revision = claimed.map(supported).transpose()?;
    let missing = |key: &str| RpcError::invalid_params(format!("`_meta` must have a valid `{key}`"));
    let (Some(_), Some(revision)) = (&meta.protocol_version, revision) else {
        return Err(missing(meta_key::PROTOCOL_VERSION));
    };
    let capabilities = meta.client_capabilities.clone().filter(RawJson::is_object);
    let log_level = answers::log_level(meta)?;
    Ok(Caller {
        principal: principal.clone(),
        request_id: *request_id,
        revision,
        capabilities: capabilities.ok_or_else(|| missing(meta_key::CLIENT_CAPABILITIES))?,
        client_info: meta.client_info.clone(),
        session: None,
        log_level,
        asked_level: log_level,
        progress_token: meta.progress_token.clone(),
        trace: meta.trace.clone(),
    })
}

/// Begins what a checked request asks for.
///
/// # Errors
/// −32601 for methods this era does not have, −32602 for parameters that cannot be used.
pub(super) fn begin(
    server: &Arc<Server>,
    caller: Caller,
    id: &Id,
    name: &str,
    params: Option<RawJson>,
) -> Result<Work, RpcError> {
    let unknown = || RpcError::new(code::METHOD_NOT_FOUND, "no such method in this revision");
    if !server.router.answers(name) {
        return Err(unknown());
    }
    if let Some(routed) = Routed::of(name, Era::Modern) {
        return Ok(Work::Routed(server.router.call(Inbound::new(routed, params, caller))));
    }
    if let Some(kind) = ListKind::of(name, Era::Modern) {
        return answers::begin_list(server, caller, kind, params);
    }
    match name {
        method::DISCOVER => Ok(answers::begin_discover(server)),
        method::LISTEN => Subscription::open(server, caller, id, params.as_ref())
            .map(|opened| Work::Subscription(Box::new(opened))),
        _ => server.router.call_vendor(name, params, caller).map(Work::Routed),
    }
}

fn supported(version: &str) -> Result<Revision, RpcError> {
    Revision::parse(version).filter(|revision| revision.era() == Era::Modern).ok_or_else(|| {
        RpcError::new(code::UNSUPPORTED_VERSION, "the protocol version is not spoken here")
            .with_data(json!({"supported": answers::modern_versions(), "requested": version}))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(meta: RequestMeta, claimed: Option<&str>) -> RpcError {
        check(&meta, claimed, &Principal::anonymous(), &RequestId::new(1)).unwrap_err()
    }

    #[test]
    fn an_unknown_version_is_refused_before_anything_missing() {
        let error = refused(RequestMeta::default(), Some("1999-01-01"));
        assert_eq!(error.code, code::UNSUPPORTED_VERSION);
        assert_eq!(error.data.unwrap()["requested"], "1999-01-01");
    }

    #[test]
    fn both_required_keys_are_required() {
        let version = Some("2026-07-28".to_owned());
        assert_eq!(refused(RequestMeta::default(), Some("2026-07-28")).code, code::INVALID_PARAMS);
        let meta = RequestMeta { protocol_version: version, ..RequestMeta::default() };
        let error = refused(meta, Some("2026-07-28"));
        assert!(error.message.contains("clientCapabilities"));
    }
}
