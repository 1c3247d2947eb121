//! What does the HTTP library let through that must not pass? Requests that two readers could understand
//! differently.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;

use crate::server::error::Error;

/// Refuses a request whose target or framing is ambiguous (RFC 9112, sections 3.2 and 6.1).
///
/// `Content-Length` beside `Transfer-Encoding` cannot be seen here, because the library drops it and
/// reads the chunks; [`is_last`] keeps what may hide behind such a body from being read as a request.
pub(super) fn check(request: &Parts) -> Result<(), Error> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Error::BadRequest("a request must have exactly one Host header"));
    };
    if let Some(authority) = request.uri.authority()
        && !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
    {
        return Err(Error::BadRequest("the request target names another host than the Host header"));
    }
    let mut encodings = request.headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Error::BadRequest("the only transfer encoding understood is `chunked`")),
    }
}

/// Whether the connection must end with this request.
pub(super) fn is_last(request: &Parts) -> bool {
    request.headers.contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn verdict(target: &str, headers: &[(&str, &str)]) -> Result<(), Error> {
        let request = headers.iter().fold(http::Request::builder().uri(target), |request, (name, value)| {
            request.header(*name, *value)
        });
        check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn exactly_one_host_is_needed() {
        assert!(verdict("/mcp", &[("host", "a")]).is_ok());
        assert!(verdict("/mcp", &[]).is_err());
        assert!(verdict("/mcp", &[("host", "a"), ("host", "a")]).is_err());
    }

    #[test]
    fn an_absolute_target_must_name_the_host() {
        assert!(verdict("http://a:1/mcp", &[("host", "A:1")]).is_ok());
        assert!(verdict("http://b/mcp", &[("host", "a")]).is_err());
    }

    #[test]
    fn only_plain_chunks_are_read() {
        let with = |encodings: &[&'static str]| {
            let mut headers = vec![("host", "a")];
            headers.extend(encodings.iter().map(|encoding| ("transfer-encoding", *encoding)));
            verdict("/mcp", &headers)
        };
        assert!(with(&["chunked"]).is_ok());
        assert!(with(&["gzip, chunked"]).is_err());
        assert!(with(&["chunked", "chunked"]).is_err());
        assert!(with(&["identity"]).is_err());
    }
}
