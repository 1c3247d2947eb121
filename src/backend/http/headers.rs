//! The headers of one request to a backend: never a client's, always made anew.

use std::collections::BTreeMap;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::protocol::{Revision, encode_value, header, mirrored_name};

use super::super::Failure;
use super::super::wire::Outgoing;
use super::Hop;

/// What the operator configured; values are marked sensitive, so that no library logs them.
pub(in super::super) fn fixed(configured: &BTreeMap<String, SecretString>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(configured.len() + 2);
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

/// What the protocol wants on this hop.
pub(super) fn of_hop(hop: &Hop, outgoing: Option<&Outgoing>) -> HeaderMap {
    let mut headers = HeaderMap::new();
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
                mirror(&mut headers, outgoing);
            }
        }
    }
    headers
}

/// Mirrors the body (MCP 2026-07-28, basic/transports/streamable-http, request metadata).
fn mirror(headers: &mut HeaderMap, outgoing: &Outgoing) {
    headers.insert(header::METHOD, HeaderValue::from_static(outgoing.method));
    let name = mirrored_name(outgoing.method, outgoing.params.as_ref());
    let value = name.and_then(|name| HeaderValue::from_str(&encode_value(&name)).ok());
    if let Some(value) = value {
        headers.insert(header::NAME, value);
    }
}
