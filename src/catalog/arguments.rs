//! Do these arguments fit the tool's schema?
//!
//! A check on behalf of the operator, before the backend sees the call. It never gets in the way of a
//! tool whose schema it cannot read, never fetches anything, and never repeats what was passed.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::schema_cost;
use super::schema_load::load_of;
use super::tool::ToolEntry;
use super::value_shape::ValueShape;
use crate::protocol::{RawJson, scan};

/// Most complaints about one call.
const MAX_MESSAGES: usize = 5;

/// Longest part of a schema or path that is repeated, in characters.
const MAX_SHOWN: usize = 120;

/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 18;

/// Most work of a check: parts of the schema that apply to a value, over all values. One takes some 10 ns.
const MAX_WORK: u64 = 50_000_000;
/// Most work of a check that looks for what is wrong, which is much more than to see that something is.
const MAX_DETAILED_WORK: u64 = 200_000;
/// Most work of a check that needs no thread of its own.
const MAX_INLINE_WORK: u64 = 20_000;
/// Most memory that arguments may take as a tree.
const MAX_TREE_BYTES: u64 = 64 * 1024 * 1024;
/// Largest text of arguments that is looked at without a thread of its own.
const MAX_INLINE_TEXT: usize = 64 * 1024;
/// Largest schema that is compiled without one.
const MAX_INLINE_SCHEMA: usize = 4 * 1024;

const TOO_LARGE: &str = "too large to be checked; fewer or smaller values can be";

impl ToolEntry {
    /// Whether a check of `arguments` is so cheap that it needs no thread of its own.
    pub fn is_cheap_to_check(&self, arguments: Option<&RawJson>) -> bool {
        let is_compiled = self.checker.get().is_some() || is_cheap_to_compile(self.input_schema.as_str());
        let text = text_of(arguments);
        if !is_compiled || text.len() > MAX_INLINE_TEXT {
            return false;
        }
        self.checker()
            .is_none_or(|checker| ValueShape::of(text.as_bytes()).work(&checker.load) <= MAX_INLINE_WORK)
    }

    /// Checks a call's `arguments`; none are `{}`. The work is bounded, whatever schema and arguments are.
    ///
    /// # Errors
    /// At most five sentences that name the place and what is expected there, never the value.
    pub fn check_arguments(&self, arguments: Option<&RawJson>) -> Result<(), Vec<String>> {
        let Some(Checker { validator, load }) = self.checker() else { return Ok(()) };
        let text = text_of(arguments);
        let shape = ValueShape::of(text.as_bytes());
        if shape.least_work(load) > MAX_WORK {
            // No arguments of this depth could be checked: that is the schema's doing.
            return Ok(());
        }
        let work = shape.work(load);
        if work > MAX_WORK || shape.bytes > MAX_TREE_BYTES {
            return Err(vec![format!("arguments: {TOO_LARGE}")]);
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(()) };
        if validator.is_valid(&value) {
            return Ok(());
        }
        if work > MAX_DETAILED_WORK {
            return Err(vec![
                "arguments: something does not fit, and they are too large to say what".to_owned(),
            ]);
        }
        Err(validator.iter_errors(&value).take(MAX_MESSAGES).map(|error| message(&error)).collect())
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

fn text_of(arguments: Option<&RawJson>) -> &str {
    arguments.map_or("{}", RawJson::as_str)
}

/// Patterns are what takes long.
fn is_cheap_to_compile(schema: &str) -> bool {
    schema.len() <= MAX_INLINE_SCHEMA && memchr::memmem::find(schema.as_bytes(), b"\"pattern").is_none()
}

/// A tool's schema, compiled.
pub(super) struct Checker {
    validator: Validator,
    /// The work for a value of each level.
    load: Vec<u64>,
}

impl Checker {
    /// `None` for a schema that cannot be compiled without fetching anything, or at a bounded price.
    fn compile(schema: &RawJson) -> Option<Self> {
        let schema: Value = scan(schema.as_bytes()).then(|| schema.to())??;
        if !schema_cost::is_bounded(&schema) {
            return None;
        }
        let load = load_of(&schema)?;
        // Patterns run in linear time: one that needs back-tracking does not compile.
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        let options = jsonschema::options().offline().with_pattern_options(patterns);
        // A value that is said to be a pattern would be compiled, however large it is.
        let options = options.with_format("regex", |_| true);
        Some(Self { validator: options.build(&schema).ok()?, load })
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

    /// Forms that an item with `a: -1` fits none of.
    fn forms(count: usize) -> String {
        let form =
            |n| format!(r#"{{"type":"object","properties":{{"a":{{"const":{n}}}}},"required":["a"]}}"#);
        let forms = (0..count).map(form).collect::<Vec<_>>().join(",");
        format!(r#"{{"properties":{{"a":{{"type":"array","items":{{"anyOf":[{forms}]}}}}}}}}"#)
    }

    #[test]
    fn the_work_of_schema_times_arguments_is_bounded() {
        let items = |count| format!(r#"{{"a":[{}]}}"#, vec![r#"{"a":-1}"#; count].join(","));
        let detailed = check(&forms(200), &items(10)).unwrap_err();
        assert!(detailed[0].contains("/a/0: fits none of the forms"), "{detailed:?}");
        let coarse = check(&forms(200), &items(500)).unwrap_err();
        assert!(coarse[0].contains("too large to say what"), "{coarse:?}");
        let refused = check(&forms(200), &items(100_000)).unwrap_err();
        assert!(refused[0].contains("too large to be checked"), "{refused:?}");
        assert_eq!(check(r#"{"properties":{"a":{"type":"array"}}}"#, &items(10_000)), Ok(()));
    }

    #[test]
    fn arguments_that_would_fill_the_memory_are_refused_before_they_are_read() {
        let refused = check("{}", &format!(r#"{{"a":[{}]}}"#, vec!["{}"; 200_000].join(","))).unwrap_err();
        assert!(refused[0].contains("too large to be checked"), "{refused:?}");
    }

    #[test]
    fn a_schema_that_multiplies_with_each_level_refuses_no_small_arguments() {
        let schema = r##"{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}"##;
        let deep = (0..50).fold("{}".to_owned(), |inner, _| format!(r#"{{"a":{inner}}}"#));
        assert_eq!(check(schema, &deep), Ok(()));
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
