//! What is rewritten between the client's hop and the backend's: names, `_meta`, progress tokens.
//! Every other byte passes as it came.

use std::borrow::Cow;

use crate::protocol::{
    ClientCapabilities, Era, HopMeta, LogLevel, Object, RawJson, Revision, Routed, gateway_info,
    is_vendor_notification, meta_key, method, readable_info, rewrite_meta, tasks,
};

use super::convert;
use super::exchange::Event;
use super::request::{Caller, Inbound};
use super::target::Target;

/// The parameters as the backend gets them.
pub(super) fn outward(target: &Target, inbound: &Inbound, revision: Revision, id: u64) -> RawJson {
    let mut meta = hop_meta(&inbound.caller, revision, id);
    if target.is_followed {
        meta.client_capabilities = meta.client_capabilities.as_ref().map(tasks::declared_beside);
    }
    let mut changes = Vec::with_capacity(3);
    changes.extend(localized(target, inbound.routed).map(|(key, name)| (key, Some(name))));
    changes.push(("_meta", rewrite_meta(target.params.get("_meta"), &meta)));
    if inbound.routed == Routed::CallTool {
        // What 2025-11-25 asks for a task with; whether there is one is not up to the client here.
        changes.push(("task", None));
    }
    target.params.changed(&changes)
}

/// The parameter that says what is asked for, and the name that the backend has for it; none in a vendor's request.
fn localized(target: &Target, routed: Routed) -> Option<(&'static str, RawJson)> {
    let local = RawJson::of_text(&target.route.local);
    Some(match routed {
        Routed::CallTool | Routed::GetPrompt => ("name", local),
        Routed::ReadResource | Routed::GetSkill | Routed::ReadDirectory => ("uri", local),
        Routed::Complete => ("ref", localized_reference(&target.params, local)),
        Routed::GetTask | Routed::UpdateTask | Routed::CancelTask => ("taskId", local),
        Routed::Vendor => return None,
    })
}

fn localized_reference(params: &Object, local: RawJson) -> RawJson {
    let reference = params.get("ref").and_then(Object::parse).unwrap_or_default();
    let key = if reference.get("name").is_some() { "name" } else { "uri" };
    reference.changed(&[(key, Some(local))])
}

/// The progress token of a hop is its request's id: unique, and found in one look-up.
fn hop_meta(caller: &Caller, revision: Revision, id: u64) -> HopMeta {
    let progress_token = caller.progress_token.as_ref().map(|_| RawJson::of(&id));
    let trace = caller.trace.clone();
    if revision.era() == Era::Legacy {
        return HopMeta { progress_token, trace, ..HopMeta::default() };
    }
    // Never more than this client declared, and of a legacy client only what can be bridged.
    let client_capabilities = match caller.revision.era() {
        Era::Modern => caller.capabilities.clone(),
        Era::Legacy => ClientCapabilities::read(&caller.capabilities, caller.revision).to_json(),
    };
    HopMeta {
        revision: Some(revision),
        client_capabilities: Some(client_capabilities),
        client_info: Some(caller.client_info.clone().and_then(readable_info).unwrap_or_else(gateway_info)),
        log_level: caller.log_level,
        progress_token,
        trace,
    }
}

/// Whether a modern backend's answer is a wish for input.
pub(super) fn wants_input(result: &RawJson) -> bool {
    result.get("resultType").is_some_and(|kind| kind.as_str() == "\"input_required\"")
}

/// A modern backend's result without what legacy clients do not know, and strict ones refuse.
pub(super) fn without_modern_members(result: RawJson) -> RawJson {
    let Some(object) = Object::parse(&result) else { return result };
    let info = meta_key::SERVER_INFO;
    let mut changes = vec![("resultType", None), ("ttlMs", None), ("cacheScope", None)];
    let meta = object.get("_meta").filter(|meta| meta.get(info).is_some()).and_then(Object::parse);
    if let Some(mut meta) = meta {
        meta.remove(info);
        changes.push(("_meta", (!meta.is_empty()).then(|| meta.to_json())));
    }
    let is_there = |(key, _): &(&str, Option<RawJson>)| object.get(key).is_some();
    if changes.iter().any(is_there) { object.changed(&changes) } else { result }
}

/// Least level of log messages that a client gets; none for none. A legacy client that has set no level leaves the
/// choice to the server (MCP 2025-11-25, server/utilities/logging).
fn least_level(caller: &Caller) -> Option<LogLevel> {
    match caller.revision.era() {
        Era::Legacy => Some(caller.asked_level.unwrap_or(LogLevel::Debug)),
        Era::Modern => caller.log_level,
    }
}

/// A notification as the client gets it; `None` if it is not for this client.
pub(super) fn notification(name: &str, params: Option<RawJson>, caller: &Caller) -> Option<Event> {
    let event =
        |method, params| Some(Event::Notification { method: Cow::Borrowed(method), params: Some(params) });
    match name {
        method::PROGRESS => {
            // Before the token is replaced: what was noted of the members holds for the message as it came.
            let params = convert::progress(params?)?;
            let token = caller.progress_token.as_ref()?;
            // On a request's own stream it is known what progress is about, even if the backend does not say.
            let told =
                || Some(Object::parse(&params)?.changed(&[(meta_key::PROGRESS_TOKEN, Some(token.clone()))]));
            let params = params.with(meta_key::PROGRESS_TOKEN, token).or_else(told)?;
            event(method::PROGRESS, params)
        }
        method::MESSAGE => {
            let params = params?;
            let passes = LogLevel::of_message(&params) >= least_level(caller)?;
            if passes { event(method::MESSAGE, convert::log_message(params)?) } else { None }
        }
        name if is_vendor_notification(name) => {
            Some(Event::Notification { method: Cow::Owned(name.to_owned()), params })
        }
        _ => None,
    }
}

/// What a modern client must be told of how long contents may be kept; a legacy backend says nothing
/// of it, which means not at all (MCP 2026-07-28, server/utilities/caching).
pub(super) fn with_caching(result: RawJson, caller: &Caller) -> RawJson {
    if caller.revision.era() == Era::Legacy {
        return result;
    }
    let Some(mut object) = Object::parse(&result) else { return result };
    if object.get("ttlMs").is_some() && object.get("cacheScope").is_some() {
        return result;
    }
    object.set("ttlMs", RawJson::of(&0)).set("cacheScope", RawJson::of("private"));
    object.to_json()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_modern_era_has_is_taken_out_and_everything_else_stays() {
        let table = [
            (
                r#"{"resultType":"complete","content":[ 1.0 ],"ttlMs":0,"cacheScope":"private"}"#,
                r#"{"content":[ 1.0 ]}"#,
            ),
            (
                r#"{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}}}"#,
                r#"{"content":[]}"#,
            ),
            (
                r#"{"_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{}},"resultType":"complete","x":{"ttlMs":1}}"#,
                r#"{"_meta":{"a":1},"x":{"ttlMs":1}}"#,
            ),
            (r#"{ "content":[], "_meta":{} }"#, r#"{ "content":[], "_meta":{} }"#),
            ("[]", "[]"),
        ];
        for (said, told) in table {
            let result = RawJson::parse(said.into()).unwrap();
            assert_eq!(without_modern_members(result).as_str(), told, "{said}");
        }
    }
}
