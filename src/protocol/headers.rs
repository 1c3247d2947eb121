//! HTTP headers of Streamable HTTP, and the encoding of values a header cannot carry.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::RawJson;

/// Names of headers.
#[allow(missing_docs)]
pub mod name {
    use http::HeaderName;

    pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
    pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
    pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
    pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
    pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
}

const OPENING: &str = "=?base64?";
const CLOSING: &str = "?=";

/// Writes `value` so that a header can carry it: as it is, or as a base64 sentinel when it has other
/// than visible ASCII, blanks at its ends, or looks like a sentinel itself
/// (MCP 2026-07-28, basic/transports/streamable-http, value encoding).
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let is_safe = value.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && !looks_encoded(value);
    if is_safe {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{OPENING}{}{CLOSING}", STANDARD.encode(value)))
}

fn looks_encoded(value: &str) -> bool {
    value.starts_with(OPENING) && value.ends_with(CLOSING)
}

/// Reads a header's value; `None` if it is a sentinel whose base64 or UTF-8 is wrong.
pub fn decode_value(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim_matches([' ', '\t']);
    let Some(encoded) = value.strip_prefix(OPENING).and_then(|rest| rest.strip_suffix(CLOSING)) else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The value of `params` that `Mcp-Name` mirrors for `method`; `None` if the method has none.
pub fn mirrored_name(method: &str, params: Option<&RawJson>) -> Option<String> {
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    // The first will do: where it stands twice, the request is refused before anything believes either.
    params?.get_all(member).next()?.string().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own vectors.
    const VECTORS: [(&str, &str); 5] = [
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("plain", "plain"),
    ];

    #[test]
    fn the_vectors_of_the_specification_hold_both_ways() {
        for (value, header) in VECTORS {
            assert_eq!(encode_value(value), header);
            assert_eq!(decode_value(header).as_deref(), Some(value));
        }
    }

    #[test]
    fn bad_base64_is_refused_and_other_case_is_literal() {
        assert_eq!(decode_value("=?base64?***?="), None);
        assert_eq!(decode_value("=?BASE64?eA==?=").as_deref(), Some("=?BASE64?eA==?="));
        assert_eq!(decode_value(" x\t").as_deref(), Some("x"));
    }
}
