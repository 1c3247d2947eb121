//! How does the client's era spell a backend's error?
//!
//! | from the backend | to a modern client | to a legacy client |
//! |---|---|---|
//! | −32002 resource not found, from a legacy backend | −32602 | as it is |
//! | −32602 for a resource it names, from a modern one | as it is | −32002 |
//! | −32042 visit a URL first | `input_required`, or a tool result | as it is, or a tool result |
//! | −32021 capability missing | as it is, if it is missing; else −32603 | −32602 that names it |
//! | −32020, −32022 | −32603 | −32603 |
//! | −32020…−32099 else | −32603 | as it is |
//!
//! Everything else passes as it came (MCP 2026-07-28, basic/index, error codes).

use serde_json::{Value, json};

use crate::protocol::{ClientCapabilities, Era, Object, RawJson, Revision, Routed, code, question};

use super::super::question::for_modern;
use super::super::request::{Caller, Inbound};
use super::text_of;

/// "URL elicitation required" (MCP 2025-11-25, client/elicitation); no other revision has it.
const URL_REQUIRED: i32 = -32042;

/// Codes only the specification may give a meaning.
const RESERVED: std::ops::RangeInclusive<i32> = -32099..=-32020;

/// `error` as the client reads it, or the tool result it becomes. The backend was asked in the era `asked_in`.
pub(super) fn shown(inbound: &Inbound, asked_in: Era, error: RawJson) -> Result<RawJson, RawJson> {
    let caller = &inbound.caller;
    let is_modern = caller.revision.era() == Era::Modern;
    let crosses = asked_in != caller.revision.era();
    let Some(number) = error.get("code").and_then(|code| code.to::<i32>()) else { return Err(error) };
    Err(match number {
        URL_REQUIRED if inbound.routed == Routed::CallTool && !is_forwarded(caller) => {
            return pages_as_text(&error).ok_or_else(|| replaced(is_modern, number, error));
        }
        code::RESOURCE_NOT_FOUND if is_modern && crosses => recoded(error, code::INVALID_PARAMS),
        code::INVALID_PARAMS if !is_modern && crosses && names_resource(inbound.routed, &error) => {
            recoded(error, code::RESOURCE_NOT_FOUND)
        }
        code::MISSING_CAPABILITY if !is_modern => incapable(error),
        code::MISSING_CAPABILITY if is_missing(&required(&error), &caller.capabilities) => error,
        code::MISSING_CAPABILITY | code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION => {
            internal(number, error)
        }
        number if RESERVED.contains(&number) => replaced(is_modern, number, error),
        _ => error,
    })
}

/// The `inputRequests` that say what −32042 says: the pages to visit before the call is made again.
/// `None` if `error` is another one, or the client opens no pages.
pub(in crate::router) fn pages_to_visit(error: &RawJson, capabilities: ClientCapabilities) -> Option<Object> {
    let pages = pages(error)?;
    let mut requests = Object::new();
    for (at, page) in pages.iter().enumerate() {
        if !capabilities.allow(question::ELICIT, Some(page)) {
            return None;
        }
        requests.set(&format!("u{}", at + 1), for_modern(question::ELICIT, Some(page)));
    }
    Some(requests)
}

/// The pages that −32042 names, never none. Members that lead nowhere are left out.
pub(in crate::router) fn pages(error: &RawJson) -> Option<Vec<RawJson>> {
    error.get("code").filter(|code| code.to() == Some(URL_REQUIRED))?;
    let mut pages = error.get("data")?.get("elicitations")?.elements();
    pages.retain(|page| text_of(page, "url").is_some() && text_of(page, "mode").as_deref() == Some("url"));
    (!pages.is_empty()).then_some(pages)
}

/// The one revision that has −32042, with a client that knows what to do.
fn is_forwarded(caller: &Caller) -> bool {
    let url = RawJson::of(&json!({ "mode": "url" }));
    caller.revision == Revision::V2025_11_25
        && ClientCapabilities::read(&caller.capabilities, caller.revision).allow(question::ELICIT, Some(&url))
}

/// For a client that opens no pages, its model is told of them, which can tell a person.
fn pages_as_text(error: &RawJson) -> Option<RawJson> {
    let mut text = "Someone must visit this first; after that the tool can be called again:".to_owned();
    for page in pages(error)? {
        let message = text_of(&page, "message").map(|message| format!("{message}: ")).unwrap_or_default();
        text.push_str(&format!("\n- {message}{}", text_of(&page, "url")?));
    }
    Some(RawJson::of(&json!({ "content": [{ "type": "text", "text": text }], "isError": true })))
}

/// Legacy clients know none of the reserved codes, and may be told any.
fn replaced(is_modern: bool, number: i32, error: RawJson) -> RawJson {
    if is_modern { internal(number, error) } else { error }
}

/// What went wrong lies between gateway and backend: the client's own doing it is not.
fn internal(number: i32, error: RawJson) -> RawJson {
    let message = text_of(&error, "message").unwrap_or_default();
    let message = format!("the backend answered with code {number}, which is not for this client: {message}");
    let (mut data, mut shown) = (Object::new(), Object::new());
    data.set("backend_error", error);
    shown.set("code", RawJson::of(&code::INTERNAL_ERROR)).set("message", RawJson::of(&message));
    shown.set("data", data.to_json());
    shown.to_json()
}

fn recoded(error: RawJson, number: i32) -> RawJson {
    let Some(mut object) = Object::parse(&error) else { return error };
    object.set("code", RawJson::of(&number));
    object.to_json()
}

/// −32602 says many things; one that names a resource says that it is not there.
fn names_resource(routed: Routed, error: &RawJson) -> bool {
    let data = error.get("data").filter(|_| routed == Routed::ReadResource);
    data.is_some_and(|data| text_of(&data, "uri").is_some())
}

fn incapable(error: RawJson) -> RawJson {
    let mut names = Vec::new();
    name_leaves(&required(&error), "", &mut names);
    let what = if names.is_empty() { "one it does not name".to_owned() } else { names.join(", ") };
    let message =
        format!("the backend needs a capability of the client that this one does not offer: {what}");
    let Some(mut object) = Object::parse(&error) else { return error };
    object.set("code", RawJson::of(&code::INVALID_PARAMS)).set("message", RawJson::of(&message));
    object.to_json()
}

fn required(error: &RawJson) -> Value {
    let required = error.get("data").and_then(|data| data.get("requiredCapabilities"));
    required.and_then(|required| required.to()).unwrap_or_default()
}

/// `elicitation.url` for `{"elicitation": {"url": {}}}`.
fn name_leaves(required: &Value, path: &str, names: &mut Vec<String>) {
    match required.as_object().filter(|members| !members.is_empty()) {
        Some(members) => {
            for (key, inner) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                name_leaves(inner, &path, names);
            }
        }
        None if path.is_empty() => {}
        None => names.push(path.to_owned()),
    }
}

/// Whether any part of `required` is not in what the client declared.
fn is_missing(required: &Value, declared: &RawJson) -> bool {
    let mut members = required.as_object().into_iter().flatten();
    members.any(|(key, inner)| declared.get(key).is_none_or(|declared| is_missing(inner, &declared)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::router::{Principal, RequestId};

    const VISIT: &str = r#"{"code":-32042,"message":"sign in","data":{"elicitations":[{"mode":"url","message":"Sign in","url":"https://a.example/1","elicitationId":"e1"},{"mode":"form"}]}}"#;
    const URL: &str = r#"{"elicitation":{"url":{}}}"#;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    /// From a backend of the other era.
    fn told(routed: Routed, revision: Revision, capabilities: &str, error: &str) -> Result<String, String> {
        let other = if revision.era() == Era::Modern { Era::Legacy } else { Era::Modern };
        told_from(other, routed, revision, capabilities, error)
    }

    fn told_from(
        asked_in: Era,
        routed: Routed,
        revision: Revision,
        capabilities: &str,
        error: &str,
    ) -> Result<String, String> {
        let caller = Caller {
            principal: Principal::anonymous(),
            request_id: RequestId::new(1),
            revision,
            capabilities: raw(capabilities),
            client_info: None,
            session: None,
            log_level: None,
            asked_level: None,
            progress_token: None,
            trace: None,
        };
        let outcome = shown(&Inbound::new(routed, None, caller), asked_in, raw(error));
        outcome.map(|result| result.as_str().to_owned()).map_err(|error| error.as_str().to_owned())
    }

    fn code_of(revision: Revision, error: &str) -> i32 {
        raw(&told(Routed::ReadResource, revision, "{}", error).unwrap_err())
            .get("code")
            .unwrap()
            .to()
            .unwrap()
    }

    #[test]
    fn a_missing_resource_has_the_code_of_the_clients_era_and_keeps_its_data() {
        let old = r#"{"code":-32002,"message":"no","data":{"uri":"file:///x","n":1.0}}"#;
        let new = r#"{"code":-32602,"message":"no","data":{"uri":"file:///x","n":1.0}}"#;
        for error in [old, new] {
            let legacy = told(Routed::ReadResource, Revision::V2025_11_25, "{}", error);
            let modern = told(Routed::ReadResource, Revision::LATEST, "{}", error);
            assert_eq!((legacy.unwrap_err(), modern.unwrap_err()), (old.to_owned(), new.to_owned()));
        }
        for (revision, error) in [(Revision::LATEST, old), (Revision::V2025_11_25, new)] {
            let same = told_from(revision.era(), Routed::ReadResource, revision, "{}", error);
            assert_eq!(same.unwrap_err(), error, "within one era it is as it came");
        }
        let wrong = r#"{"code":-32602,"message":"no cursor"}"#;
        assert_eq!(told(Routed::ReadResource, Revision::V2025_11_25, "{}", wrong).unwrap_err(), wrong);
        assert_eq!(told(Routed::CallTool, Revision::V2025_11_25, "{}", new).unwrap_err(), new);
    }

    #[test]
    fn errors_between_gateway_and_backend_do_not_reach_a_client_as_its_own() {
        for (number, to_legacy) in [(-32020, -32603), (-32022, -32603), (-32077, -32077), (-32100, -32100)] {
            let error = format!(r#"{{ "code":{number},"message":"odd","data":1.50}}"#);
            assert_eq!(code_of(Revision::V2025_06_18, &error), to_legacy);
            let modern = told(Routed::CallTool, Revision::LATEST, "{}", &error).unwrap_err();
            match number {
                -32100 => assert_eq!(modern, error),
                _ => assert_eq!(
                    raw(&modern).get("data").unwrap().get("backend_error").unwrap().as_str(),
                    error
                ),
            }
        }
    }

    #[test]
    fn a_missing_capability_is_told_to_whom_it_is_missing() {
        let error = r#"{"code":-32021,"message":"m","data":{"requiredCapabilities":{"elicitation":{"url":{}},"sampling":{}}}}"#;
        let modern = |capabilities: &str| {
            let told = told(Routed::CallTool, Revision::LATEST, capabilities, error).unwrap_err();
            raw(&told).get("code").unwrap().to::<i32>().unwrap()
        };
        assert_eq!(modern(r#"{"elicitation":{},"sampling":{}}"#), -32021);
        assert_eq!(modern(r#"{"elicitation":{"url":{}},"sampling":{}}"#), -32603);
        let legacy = raw(&told(Routed::CallTool, Revision::V2025_06_18, "{}", error).unwrap_err());
        assert_eq!(legacy.get("code").unwrap().as_str(), "-32602");
        assert!(legacy.get("message").unwrap().as_str().contains("elicitation.url, sampling"));
    }

    #[test]
    fn pages_to_visit_are_forwarded_asked_for_or_told_as_text() {
        let forwarded = told(Routed::CallTool, Revision::V2025_11_25, URL, VISIT);
        assert_eq!(forwarded.unwrap_err(), VISIT);
        for (revision, capabilities) in
            [(Revision::V2025_11_25, "{}"), (Revision::V2025_06_18, URL), (Revision::LATEST, "{}")]
        {
            let result = told(Routed::CallTool, revision, capabilities, VISIT).unwrap();
            assert!(result.contains(r#"\n- Sign in: https://a.example/1"}"#), "{result}");
            assert!(result.contains(r#""isError":true"#));
        }
        assert_eq!(code_of(Revision::LATEST, VISIT), -32603);
        let capabilities = |declared| ClientCapabilities::read(&raw(declared), Revision::LATEST);
        assert_eq!(
            pages_to_visit(&raw(VISIT), capabilities(URL)).unwrap().to_json().as_str(),
            r#"{"u1":{"method":"elicitation/create","params":{"mode":"url","message":"Sign in","url":"https://a.example/1"}}}"#
        );
        assert!(pages_to_visit(&raw(VISIT), capabilities(r#"{"elicitation":{}}"#)).is_none());
        assert!(pages_to_visit(&raw(&VISIT.replace("-32042", "-32041")), capabilities(URL)).is_none());
    }

    #[test]
    fn every_other_error_keeps_its_bytes() {
        for error in
            [r#"{ "code" : 1001,"message":"\u00e9" }"#, r#"{"code":"odd"}"#, "7", r#"{"code":-32601}"#]
        {
            for revision in Revision::ALL {
                assert_eq!(told(Routed::CallTool, revision, "{}", error).unwrap_err(), error);
            }
        }
    }
}
