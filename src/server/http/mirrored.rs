//! Do the headers of a stateless request say what its body says? A proxy on the way may have judged it by
//! them (MCP 2026-07-28, basic/transports/streamable-http, server validation).

use std::fmt;

use http::HeaderMap;
use http::header::AsHeaderName;

use crate::protocol::{ParamHeader, RawJson, RpcError, code, decode_value, header};

/// The version that header and `_meta` agree on, or the one that either names alone in an incomplete request.
///
/// # Errors
/// −32020 when they differ, or only the body names one.
pub(super) fn version<'a>(
    headers: &'a HeaderMap,
    in_meta: Option<&'a str>,
) -> Result<Option<&'a str>, RpcError> {
    match (single(headers, &header::PROTOCOL_VERSION)?, in_meta) {
        (Some(given), Some(meant)) if given.trim() != meant => Err(mismatch("MCP-Protocol-Version")),
        (None, Some(_)) => Err(mismatch("MCP-Protocol-Version")),
        (given, meant) => Ok(meant.or(given)),
    }
}

/// Checks `Mcp-Method`, and `Mcp-Name` where the request has a name to mirror.
///
/// # Errors
/// −32020 when one is missing, ambiguous or differs.
pub(super) fn check(headers: &HeaderMap, method: &str, name: Option<&str>) -> Result<(), RpcError> {
    if single(headers, &header::METHOD)?.map(str::trim) != Some(method) {
        return Err(mismatch("Mcp-Method"));
    }
    let Some(name) = name else { return Ok(()) };
    let given = single(headers, &header::NAME)?.and_then(decode_value);
    if given.as_deref() != Some(name) {
        return Err(mismatch("Mcp-Name"));
    }
    Ok(())
}

/// Checks `Mcp-Param-*` of a tool call: one that no argument stands behind is a lie too.
///
/// # Errors
/// −32020 when one is missing, ambiguous, unreadable or differs.
pub(super) fn check_arguments(
    headers: &HeaderMap,
    expected: &[ParamHeader],
    params: Option<&RawJson>,
) -> Result<(), RpcError> {
    if expected.is_empty() {
        return Ok(());
    }
    let arguments = params.and_then(|params| params.get("arguments"));
    for param in expected {
        let given = single(headers, param.header.as_str())?;
        if !param.agrees(arguments.as_ref(), given) {
            return Err(mismatch(&param.header));
        }
    }
    Ok(())
}

/// The value of a header that must not stand twice.
fn single(
    headers: &HeaderMap,
    name: impl AsHeaderName + fmt::Display + Copy,
) -> Result<Option<&str>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(mismatch(name)),
    }
}

fn mismatch(name: impl fmt::Display) -> RpcError {
    RpcError::new(code::HEADER_MISMATCH, format!("the header {name} must say what the body says"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_version_must_stand_in_both_places_and_be_one() {
        let given = headers(&[(header::PROTOCOL_VERSION, "2026-07-28")]);
        assert_eq!(version(&given, Some("2026-07-28")).unwrap(), Some("2026-07-28"));
        assert_eq!(version(&given, None).unwrap(), Some("2026-07-28"));
        assert!(version(&given, Some("2099-01-01")).is_err());
        assert!(version(&headers(&[]), Some("2026-07-28")).is_err());
    }

    #[test]
    fn method_and_name_must_match_after_decoding() {
        let verdict = |pairs: &[(HeaderName, &str)]| check(&headers(pairs), "tools/call", Some("grüße"));
        const METHOD: (HeaderName, &str) = (header::METHOD, "tools/call");
        assert!(verdict(&[METHOD, (header::NAME, "=?base64?Z3LDvMOfZQ==?=")]).is_ok());
        assert!(verdict(&[METHOD]).is_err());
        assert!(verdict(&[METHOD, (header::NAME, "=?base64?***?=")]).is_err());
        assert!(
            verdict(&[(header::METHOD, "tools/list"), (header::NAME, "=?base64?Z3LDvMOfZQ==?=")]).is_err()
        );
        assert!(verdict(&[METHOD, METHOD, (header::NAME, "=?base64?Z3LDvMOfZQ==?=")]).is_err());
    }

    #[test]
    fn an_argument_and_its_header_must_come_together_once_and_agree() {
        const NAME: HeaderName = HeaderName::from_static("mcp-param-region");
        const OTHER: HeaderName = HeaderName::from_static("mcp-param-other");
        let expected =
            [ParamHeader { header: "Mcp-Param-Region".to_owned(), path: vec!["region".to_owned()] }];
        let verdict = |arguments: &str, pairs: &[(HeaderName, &str)]| {
            let params = RawJson::parse(format!(r#"{{"arguments":{arguments}}}"#).into()).unwrap();
            check_arguments(&headers(pairs), &expected, Some(&params)).map_err(|error| error.code)
        };
        let refused = Err(code::HEADER_MISMATCH);
        assert_eq!(verdict(r#"{"region":"x"}"#, &[(NAME, "x"), (OTHER, "y")]), Ok(()));
        assert_eq!(verdict(r#"{"region":null}"#, &[]), Ok(()));
        assert_eq!(verdict(r#"{"region":"x"}"#, &[]), refused);
        assert_eq!(verdict(r#"{"region":"x"}"#, &[(NAME, "x"), (NAME, "x")]), refused);
        assert_eq!(verdict(r#"{"region":"ü"}"#, &[(NAME, "ü")]), refused);
        assert_eq!(verdict("{}", &[(NAME, "x")]), refused);
        assert_eq!(check_arguments(&headers(&[(NAME, "x")]), &[], None).map_err(|error| error.code), Ok(()));
    }
}
