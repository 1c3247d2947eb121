//! What may a page of an allowed origin send and read? Never `*`: an origin that is not listed was
//! refused before.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::respond::{Body, empty};
use crate::protocol::trace;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const SENT: [&str; 6] =
    ["authorization", "content-type", "accept", "last-event-id", trace::PARENT, trace::STATE];

/// The answer to a preflight request.
pub(super) fn preflight(headers: &HeaderMap) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let allowed = response.headers_mut();
    allowed.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    allowed.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Ok(names) = HeaderValue::from_str(&allowed_headers(headers)) {
        allowed.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    response
}

/// Lets a page of `origin` read the response.
pub(super) fn expose(response: &mut Response<Body>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// Of the headers asked for, those a client needs. `Mcp-Param-…` has no end of names, so every `Mcp-` passes.
fn allowed_headers(headers: &HeaderMap) -> String {
    let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|asked| asked.to_str().ok());
    let names = asked.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
    let names: Vec<_> =
        names.filter(|name| SENT.contains(&name.as_str()) || name.starts_with("mcp-")).collect();
    names.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_of_the_protocol_may_be_sent() {
        let asked = "Content-Type, mcp-param-region, Traceparent, X-Evil".parse().unwrap();
        let headers = HeaderMap::from_iter([(ACCESS_CONTROL_REQUEST_HEADERS, asked)]);
        assert_eq!(allowed_headers(&headers), "content-type, mcp-param-region, traceparent");
    }
}
