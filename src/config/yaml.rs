//! How is a file's text read: YAML (and so JSON) → [`Node`]. The only file that knows the YAML library.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_yaml::Spanned;

use super::problem::Finding;
use super::tree::{Entry, Kind, Node, Origin, Span};

/// Parser events in one file, those repeated by aliases included.
const MAX_EVENTS: usize = 200_000;

/// Reads `text`; repeated keys are kept for a later check to report.
pub(crate) fn parse(text: &str) -> Result<Node, Finding> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! { max_events: MAX_EVENTS, max_depth: 64 },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MAX_EVENTS },
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_yaml::from_str_with_options::<Raw>(text, options) {
        Ok(raw) => Ok(raw.place(text)),
        Err(error) => Err(syntax_problem(text, &error)),
    }
}

fn syntax_problem(text: &str, error: &serde_yaml::Error) -> Finding {
    let span = error.location().map(span).unwrap_or_default();
    let message = plain_words(error.without_snippet());
    let span = Span { end: span.end.min(text.len()), ..span };
    Finding::new(span, format!("not valid YAML: {message}"))
}

fn span(location: serde_yaml::Location) -> Span {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let start = location.span().byte_offset().map_or(0, size);
    Span {
        line: size(location.line()),
        column: size(location.column()),
        start,
        end: start.saturating_add(location.span().byte_len().map_or(0, size)),
    }
}

/// What is wrong with the text; the library's own words are about its types and options.
fn plain_words(error: &serde_yaml::Error) -> String {
    use serde_yaml::Error as E;
    let words = match error {
        E::AliasError { error, .. } => return plain_words(error.without_snippet()),
        E::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands inside the value it refers to",
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. }
        | E::AliasReplayCounterOverflow { .. } => "too large, or too many aliases",
        E::UnknownAnchor { .. } => "an alias (`*name`) without its anchor (`&name`)",
        E::MultipleDocuments { .. } => "more than one document: take out the `---` between them",
        E::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` takes a map or a list of maps",
        E::Eof { .. } => "it ends too early",
        E::Unexpected { .. }
        | E::SerdeInvalidType { .. }
        | E::SerdeInvalidValue { .. }
        | E::NullIntoString { .. }
        | E::TaggedScalarCannotDeserializeIntoString { .. }
        | E::UnexpectedContainerEndWhileReadingKeyNode { .. } => "a key must be plain text",
        E::UnsupportedTag { .. } | E::InvalidBinaryBase64 { .. } | E::BinaryNotUtf8 { .. } => {
            "tags such as `!!binary` are not supported"
        }
        E::NonFiniteFloat { .. } => "a number must be finite",
        E::Message { msg, .. } | E::ExternalMessage { msg, .. } => return of_parser(msg),
        _ => "this cannot be read here",
    };
    words.to_owned()
}

/// The parser's message without the place, which is shown beside it.
fn of_parser(message: &str) -> String {
    match message.split_once(" at line ") {
        Some(("", _)) | None => message.to_owned(),
        Some((message, _)) => message.to_owned(),
    }
}

/// A value as the library hands it over.
struct Raw(Spanned<RawKind>);

enum RawKind {
    Map(Vec<(Spanned<String>, Raw)>),
    List(Vec<Raw>),
    Scalar(Value),
}

impl Raw {
    fn place(self, text: &str) -> Node {
        let (span, defined) = (span(self.0.referenced), span(self.0.defined));
        let kind = match self.0.value {
            RawKind::Map(entries) => {
                Kind::Map(entries.into_iter().map(|(key, value)| entry(key, value, text)).collect())
            }
            RawKind::List(items) => Kind::List(items.into_iter().map(|item| item.place(text)).collect()),
            RawKind::Scalar(value) => {
                let spelled = text.get(defined.start..defined.end).unwrap_or_default();
                Kind::Scalar(value, spelled.to_owned())
            }
        };
        Node { kind, span, origin: Origin::Literal }
    }
}

fn entry(key: Spanned<String>, value: Raw, text: &str) -> Entry {
    Entry { span: span(key.referenced), key: key.value, value: value.place(text) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = RawKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawKind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawKind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key()? {
            entries.push((key, access.next_value()?));
        }
        Ok(RawKind::Map(entries))
    }
}

/// `5.0` is as good a whole number as `5`, in JSON Schema's eyes too.
pub(crate) fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
