//! The headers of one request to a backend: never a client's, always made anew.

use std::collections::BTreeMap;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::protocol::{Revision, encode_value, header, mirrored_name};

use super::super::Failure;
use super::super::wire::Outgoing;
use super::Hop;

/// Headers that every request has, and that the protocol adds to one.
const ADDED: usize = 10;

/// What the operator configured; values are marked sensitive, so that no library logs them.
pub(in super::super) fn fixed(configured: &BTreeMap<String, SecretString>) -> Result<HeaderMap, Failure> {
    // Each request adds to a copy: with room for that from the start, none grows.
    let mut headers = HeaderMap::with_capacity(configured.len() + ADDED);
    for (name, value) in configured {
        let parsed =
            HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value.expose_secret()).ok());
        let Some((name, mut value)) = parsed else {
            return Err(Failure::unavailable(format!("`headers.{name}` holds what HTTP cannot carry")));
        };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

/// Adds what the protocol wants on this hop.
pub(super) fn add_hop(headers: &mut HeaderMap, hop: &Hop, outgoing: Option<&Outgoing>) {
    for (name, value) in
        outgoing.iter().flat_map(|outgoing| &outgoing.beside.trace).flat_map(|trace| trace.headers())
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    match hop {
        Hop::Opening => {}
        Hop::Legacy { revision, session } => {
            headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
            if let Some(session) = session {
                headers.insert(header::SESSION_ID, session.clone());
            }
        }
        Hop::Modern => {
            headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(Revision::LATEST.as_str()));
            if let Some(outgoing) = outgoing {
                mirror(headers, outgoing);
            }
        }
    }
}

/// Mirrors the body (MCP 2026-07-28, basic/transports/streamable-http, request metadata).
fn mirror(headers: &mut HeaderMap, outgoing: &Outgoing) {
    let method = match &outgoing.beside.vendor_method {
        Some(name) => HeaderValue::from_str(name).ok(),
        None => Some(HeaderValue::from_static(outgoing.method)),
    };
    if let Some(method) = method {
        headers.insert(header::METHOD, method);
    }
    let name = mirrored_name(outgoing.method, outgoing.params.as_ref());
    let value = name.and_then(|name| HeaderValue::from_str(&encode_value(&name)).ok());
    if let Some(value) = value {
        headers.insert(header::NAME, value);
    }
    if outgoing.beside.param_headers.is_empty() {
        return;
    }
    let arguments = outgoing.params.as_ref().and_then(|params| params.get("arguments"));
    for param in outgoing.beside.param_headers.iter() {
        let Some(text) = param.text(arguments.as_ref()) else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&param.header), HeaderValue::try_from(text)) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::Beside;
    use crate::protocol::{ParamHeader, RawJson};

    #[test]
    fn arguments_are_repeated_towards_modern_servers_only() {
        let param = ParamHeader { header: "Mcp-Param-Region".to_owned(), path: vec!["region".to_owned()] };
        let params = RawJson::parse(r#"{"name":"t","arguments":{"region":"grüße"}}"#.into()).unwrap();
        let beside = Beside { param_headers: [param].into(), ..Beside::default() };
        let outgoing = Outgoing { beside, ..Outgoing::new(1, "tools/call", Some(params)) };
        let headers = |hop| {
            let mut headers = HeaderMap::new();
            add_hop(&mut headers, &hop, Some(&outgoing));
            headers
        };
        assert_eq!(headers(Hop::Modern)["mcp-param-region"], "=?base64?Z3LDvMOfZQ==?=");
        let legacy = headers(Hop::Legacy { revision: Revision::LATEST_LEGACY, session: None });
        assert!(!legacy.contains_key("mcp-param-region"));
    }
}
