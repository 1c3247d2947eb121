//! Which arguments of a tool does a header repeat, and does it say what they say?
//!
//! A property of an `inputSchema` that carries `x-mcp-header: "Region"` is mirrored in the header
//! `Mcp-Param-Region`, so that a proxy can route by it without reading bodies
//! (MCP 2026-07-28, basic/transports/streamable-http, custom headers from tool parameters).

mod annotations;

pub use annotations::{read, strip};

use super::RawJson;
use super::headers::{decode_value, encode_value};

/// Integers beyond it are not the same number to every reader of JSON: 2^53 − 1.
const MAX_INTEGER: f64 = 9_007_199_254_740_991.0;

/// One argument that a header repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// `Mcp-Param-` and the name, as the schema spells it.
    pub header: String,
    /// The members to follow from `arguments` to the value.
    pub path: Vec<String>,
}

impl ParamHeader {
    /// What the header must hold for these arguments, ready to be sent; `None` when there must be none.
    pub fn text(&self, arguments: Option<&RawJson>) -> Option<String> {
        match value_at(arguments?, &self.path) {
            Found::Value(value) => Mirrored::of(&value).map(|mirrored| mirrored.text()),
            Found::Nothing | Found::Twice => None,
        }
    }

    /// Whether a request with the header `given` (or without one) says the same as its arguments.
    ///
    /// What no header can hold, an array for example, needs none: whoever executes the call refuses it in
    /// words that help. A member that stands twice agrees with nothing: readers differ in which they believe.
    pub fn agrees(&self, arguments: Option<&RawJson>, given: Option<&str>) -> bool {
        let found = arguments.map_or(Found::Nothing, |arguments| value_at(arguments, &self.path));
        let meant = match found {
            Found::Nothing => None,
            Found::Value(value) => Mirrored::of(&value),
            Found::Twice => return false,
        };
        match (meant, given) {
            (None, None) => true,
            (Some(meant), Some(given)) => decode_value(given).is_some_and(|given| meant.is(&given)),
            _ => false,
        }
    }
}

/// What stands at the end of a path.
#[derive(Debug, PartialEq)]
enum Found {
    /// Nothing, or `null`, which counts as nothing.
    Nothing,
    Value(RawJson),
    /// A member on the way stands twice.
    Twice,
}

fn value_at(arguments: &RawJson, path: &[String]) -> Found {
    let mut value = arguments.clone();
    for step in path {
        let (first, second) = {
            let mut members = value.get_all(step);
            (members.next(), members.next())
        };
        value = match (first, second) {
            (None, _) => return Found::Nothing,
            (Some(next), None) => next,
            (Some(_), Some(_)) => return Found::Twice,
        };
    }
    if value.is_null() { Found::Nothing } else { Found::Value(value) }
}

/// A value as a header repeats it. The value's own type decides: one that is not of the type its schema
/// asks for is the backend's to refuse.
enum Mirrored {
    Text(String),
    Integer(i64),
}

impl Mirrored {
    /// `None` for what no header can hold.
    fn of(value: &RawJson) -> Option<Self> {
        if let Some(text) = value.string() {
            return Some(Self::Text(text.into_owned()));
        }
        match value.as_str() {
            flag @ ("true" | "false") => Some(Self::Text(flag.to_owned())),
            other => integer(other).map(Self::Integer),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => encode_value(text).into_owned(),
            Self::Integer(number) => number.to_string(),
        }
    }

    fn is(&self, decoded: &str) -> bool {
        match self {
            Self::Text(text) => text == decoded,
            Self::Integer(number) => integer(decoded) == Some(*number),
        }
    }
}

/// The integer that a number of JSON is, however it is spelt.
fn integer(text: &str) -> Option<i64> {
    let number: f64 = serde_json::from_str(text).ok()?;
    let is_safe = number.fract() == 0.0 && number.abs() <= MAX_INTEGER;
    // Exact within the bound.
    is_safe.then_some(number as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    fn region() -> ParamHeader {
        ParamHeader { header: "Mcp-Param-Region".to_owned(), path: vec!["where".into(), "region".into()] }
    }

    fn arguments(region: &str) -> RawJson {
        raw(&format!(r#"{{"where":{{"region":{region}}}}}"#))
    }

    #[test]
    fn values_are_written_as_the_specification_says() {
        let vectors = [
            (r#""us-west1""#, Some("us-west1")),
            (r#""""#, Some("")),
            (r#""Hello, \u4e16\u754c""#, Some("=?base64?SGVsbG8sIOS4lueVjA==?=")),
            (r#"" padded ""#, Some("=?base64?IHBhZGRlZCA=?=")),
            (r#""line1\nline2""#, Some("=?base64?bGluZTEKbGluZTI=?=")),
            (r#""=?base64?literal?=""#, Some("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=")),
            ("42", Some("42")),
            ("42.0", Some("42")),
            ("-9007199254740991", Some("-9007199254740991")),
            ("9007199254740992", None),
            ("4.5", None),
            ("true", Some("true")),
            ("false", Some("false")),
            ("null", None),
            ("[]", None),
        ];
        for (value, header) in vectors {
            let arguments = arguments(value);
            assert_eq!(region().text(Some(&arguments)).as_deref(), header, "{value}");
            assert!(region().agrees(Some(&arguments), header), "{value}");
            assert!(!region().agrees(Some(&arguments), Some("another")), "{value}");
        }
        assert_eq!(region().text(None), None);
    }

    #[test]
    fn a_header_agrees_when_it_says_the_same_and_only_then() {
        let agrees = |value: &str, given| region().agrees(Some(&arguments(value)), given);
        assert!(agrees("42", Some("42.0")) && agrees("42.0", Some("42")) && agrees("42", Some("4.2e1")));
        assert!(agrees("42", Some("=?base64?NDI=?=")) && !agrees("42", Some("43")));
        assert!(!agrees("42", Some("42x")) && !agrees("42", Some("")));
        assert!(agrees(r#""Hello""#, Some("=?base64?SGVsbG8=?=")));
        assert!(!agrees(r#""Hello""#, Some("=?base64?SGVsbG8?=")), "bad padding");
        assert!(!agrees(r#""Hello""#, Some("hello")) && !agrees(r#""Hello""#, None));
        assert!(agrees(r#""=?base64?SGVsbG8=""#, Some("=?base64?SGVsbG8=")), "no sentinel, so literal");
        assert!(!agrees(r#""42""#, Some("42.0")), "a string is no number");
        assert!(!agrees("true", Some("TRUE")) && !agrees("null", Some("null")) && !agrees("[]", Some("[]")));
    }

    #[test]
    fn a_member_that_stands_twice_agrees_with_nothing() {
        let twice = raw(r#"{"where":{"region":"a","re\u0067ion":"b"}}"#);
        for given in [Some("a"), Some("b"), None] {
            assert!(!region().agrees(Some(&twice), given), "{given:?}");
        }
        assert_eq!(region().text(Some(&twice)), None);
    }
}
