//! Do these arguments fit the tool's schema?
//!
//! A check on behalf of the operator, before the backend sees the call. It never gets in the way of a
//! tool whose schema it cannot read, never fetches anything, and never repeats what was passed.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::schema_cost::SchemaCost;
use super::tool::ToolEntry;
use crate::protocol::{RawJson, scan};

/// Most complaints about one call.
const MAX_MESSAGES: usize = 5;

/// Longest part of a schema or path that is repeated, in characters.
const MAX_SHOWN: usize = 120;

/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

impl ToolEntry {
    /// Checks a call's `arguments`; none are `{}`.
    ///
    /// # Errors
    /// At most five sentences that name the place and what is expected there, never the value.
    pub fn check_arguments(&self, arguments: Option<&RawJson>) -> Result<(), Vec<String>> {
        let Some(Checker { validator, cost }) = self.checker() else { return Ok(()) };
        let text = arguments.map_or("{}", RawJson::as_str);
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(()) };
        if !cost.allows(&value) {
            return Ok(());
        }
        let problems: Vec<String> =
            validator.iter_errors(&value).take(MAX_MESSAGES).map(|error| message(&error)).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Whether arguments can be checked at all: a schema that does not compile, refers elsewhere or would
    /// cost too much lets every call through.
    pub fn is_checkable(&self) -> bool {
        self.checker().is_some()
    }

    fn checker(&self) -> Option<&Checker> {
        self.checker.get_or_init(|| Checker::compile(&self.input_schema)).as_ref()
    }
}

/// A tool's schema, compiled.
pub(super) struct Checker {
    validator: Validator,
    cost: SchemaCost,
}

impl Checker {
    /// `None` for a schema that cannot be compiled without fetching anything, or at a bounded price.
    fn compile(schema: &RawJson) -> Option<Self> {
        let schema: Value = scan(schema.as_bytes()).then(|| schema.to())??;
        let cost = SchemaCost::of(&schema)?;
        // Patterns run in linear time: one that needs back-tracking does not compile.
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        let options = jsonschema::options().offline().with_pattern_options(patterns);
        Some(Self { validator: options.build(&schema).ok()?, cost })
    }
}

fn message(error: &ValidationError<'_>) -> String {
    let path = shown(error.instance_path().as_str());
    format!("arguments{path}: {}", expectation(error.kind()))
}

/// What the schema asks for, in words that hold nothing of what was passed but member names.
fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::Type { kind } => format!("must be of type {}", types(kind)),
        Kind::Required { property } => format!("`{}` is required", plain(property)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("unknown member: {}", shown(&unexpected.join(", ")))
        }
        Kind::Enum { options } => format!("must be one of {}", shown(&options.to_string())),
        Kind::Constant { expected_value } => format!("must be {}", shown(&expected_value.to_string())),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::Pattern { pattern } => format!("must match the pattern {}", shown(pattern)),
        Kind::Format { format } => format!("must be a valid {}", shown(format)),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "fits none of the forms allowed here".to_owned(),
        Kind::OneOfMultipleValid { .. } => "fits more than one form where just one is allowed".to_owned(),
        Kind::UniqueItems => "must not have an item twice".to_owned(),
        Kind::PropertyNames { .. } => "has a member whose name is not allowed".to_owned(),
        Kind::FalseSchema => "must not be present".to_owned(),
        other => format!("does not satisfy `{}` of the schema", shown(other.keyword())),
    }
}

fn types(kind: &jsonschema::error::TypeKind) -> String {
    use jsonschema::error::TypeKind;
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(set) => set.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or "),
    }
}

fn plain(name: &Value) -> String {
    shown(name.as_str().unwrap_or_default())
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpListener;

    use bytes::Bytes;

    use super::*;
    use crate::catalog::route::{Item, Route};
    use crate::protocol::tasks::Support;

    fn check(schema: &str, arguments: &str) -> Result<(), Vec<String>> {
        let raw = |text: String| RawJson::parse(Bytes::from(text)).unwrap();
        let route = Route { backend: "b".into(), local: "t".into(), qualified: "b__t".into() };
        let entry = raw(format!(r#"{{"name":"b__t","inputSchema":{schema}}}"#));
        let tool = ToolEntry::new(&Item { route, entry }, true, Support::Forbidden);
        tool.check_arguments(Some(&raw(arguments.to_owned())))
    }

    #[test]
    fn a_complaint_names_the_place_and_the_expectation() {
        let schema = r#"{"type":"object","properties":{"query":{},"filter":{"type":"object","properties":
            {"limit":{"type":"integer","maximum":10}}}},"required":["query"],"additionalProperties":false}"#;
        let problems = check(schema, r#"{"filter":{"limit":"7"},"extra":1}"#).unwrap_err();
        assert!(
            problems.contains(&"arguments/filter/limit: must be of type integer".to_owned()),
            "{problems:?}"
        );
        assert!(problems.contains(&"arguments: `query` is required".to_owned()), "{problems:?}");
        assert!(problems.contains(&"arguments: unknown member: extra".to_owned()), "{problems:?}");
        assert_eq!(check(schema, r#"{"query":1,"filter":{"limit":7}}"#), Ok(()));
    }

    #[test]
    fn no_complaint_repeats_a_value() {
        let secret = r#""hunter2""#;
        let schemas = [
            r#"{"type":"integer"}"#,
            r#"{"enum":["a"]}"#,
            r#"{"const":"a"}"#,
            r#"{"pattern":"^a$"}"#,
            r#"{"maxLength":2}"#,
            r#"{"minLength":20}"#,
            r#"{"not":{"type":"string"}}"#,
            r#"{"anyOf":[{"type":"null"},{"type":"integer"}]}"#,
            r#"{"oneOf":[{"type":"string"},{"minLength":1}]}"#,
            r#"{"contentMediaType":"application/json"}"#,
            r#"{"contentEncoding":"base64"}"#,
            "false",
        ];
        for schema in schemas {
            let schema = format!(
                r#"{{"$schema":"http://json-schema.org/draft-07/schema#","properties":{{"a":{schema}}}}}"#
            );
            let problems = check(&schema, &format!(r#"{{"a":{secret}}}"#)).unwrap_err().join("\n");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
        let lists =
            [r#"{"uniqueItems":true}"#, r#"{"unevaluatedItems":false}"#, r#"{"contains":{"type":"null"}}"#];
        for schema in lists {
            let schema = format!(r#"{{"properties":{{"a":{schema}}}}}"#);
            let problems = check(&schema, &format!(r#"{{"a":[{secret},{secret}]}}"#)).unwrap_err().join("\n");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }

    #[test]
    fn a_thousand_faults_are_five_complaints() {
        let items = vec!["null"; 1000].join(",");
        let schema = r#"{"properties":{"a":{"items":{"type":"string"}}}}"#;
        assert_eq!(check(schema, &format!(r#"{{"a":[{items}]}}"#)).unwrap_err().len(), 5);
    }

    #[test]
    fn no_reference_leaves_the_schema() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "false").unwrap();
        let places = [format!("http://{address}/s.json"), format!("file://{}", file.path().display())];
        for place in places {
            assert_eq!(check(&format!(r#"{{"$ref":"{place}"}}"#), "{}"), Ok(()), "{place}");
            let schema = format!(r#"{{"$schema":"{place}","type":"string"}}"#);
            assert_eq!(check(&schema, "{}"), Ok(()), "{place}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_schema_nobody_can_compile_lets_the_call_through() {
        for schema in [r#"{"type":"nonsense"}"#, r#"{"pattern":"("}"#, r##"{"$ref":"#/nowhere"}"##] {
            assert_eq!(check(schema, "{}"), Ok(()), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_does_not_end_the_process() {
        let loops = [
            r##"{"$ref":"#"}"##,
            r##"{"allOf":[{"$ref":"#"}]}"##,
            r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##,
        ];
        for schema in loops {
            let _ = check(schema, "{}");
        }
        let deepest = (0..60).map(|n| format!(r##""d{n}":{{"not":{{"$ref":"#/$defs/d{}"}}}}"##, n + 1));
        let deepest = deepest.collect::<Vec<_>>().join(",");
        let schema = format!(r##"{{"$defs":{{{deepest},"d60":{{"type":"string"}}}},"$ref":"#/$defs/d0"}}"##);
        assert!(check(&schema, "{}").is_err());
    }
}
