//! What does the file's author read about a value that the schema does not allow?

use std::time::Duration;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::pasted;
use super::place;
use super::problem::Finding;
use super::rule::Rule;
use super::secrets::is_secret;
use super::tree::{Kind, Node, Origin, Span};
use crate::units;

/// Longest value repeated in a message, in characters.
const MAX_SHOWN: usize = 40;
/// Least likeness (Jaro-Winkler, 0 to 1) of a word that is offered instead.
const LIKENESS: f64 = 0.75;

/// Says `error`, found at `path`, in the file's own terms.
pub(crate) fn describe(
    root: &Node,
    path: &[String],
    schema: &Value,
    error: &ValidationError<'_>,
    findings: &mut Vec<Finding>,
) {
    let rule = Rule::of(schema, error);
    let (node, span) = root.at(path);
    let bad = Bad { node, name: place::name(path), shown: shown(node, path) };
    let (message, suggestion) = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            return unknown_keys(node, path, &rule, unexpected, findings);
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let message = format!("`{key}` is missing{}", place::inside(path));
            (message, rule.about(key))
        }
        ValidationErrorKind::Type { .. } if path.is_empty() && node.is_null() => {
            let message = "the file is empty".to_owned();
            return findings.push(Finding::new(Span::default(), message));
        }
        ValidationErrorKind::Type { kind } => (bad.mistyped(&rule.expected(kind)), None),
        ValidationErrorKind::Pattern { .. } | ValidationErrorKind::Format { .. } => bad.malformed(&rule),
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            let word = bad.shown.as_deref().unwrap_or_default();
            (bad.refused(), Some(one_of(word, &rule.choices())))
        }
        ValidationErrorKind::ExclusiveMinimum { .. } => {
            (format!("{} must be more than zero", bad.name), None)
        }
        ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } => {
            (bad.refused(), Some(rule.range()))
        }
        _ => (bad.refused(), rule.description()),
    };
    findings.push(Finding { span, message, suggestion });
}

/// A value that the schema does not allow.
struct Bad<'a> {
    node: &'a Node,
    name: String,
    shown: Option<String>,
}

impl Bad<'_> {
    fn refused(&self) -> String {
        match &self.shown {
            Some(shown) => format!("{} cannot be `{shown}`", self.name),
            None => format!("{} has a value it cannot have", self.name),
        }
    }

    fn mistyped(&self, expected: &str) -> String {
        let found = match (&self.node.kind, &self.shown) {
            (Kind::Scalar(Value::Number(_), _), Some(shown)) => format!("`{shown}`"),
            _ => shape(self.node).to_owned(),
        };
        if self.node.is_null() {
            return format!("{} must be {expected}, and nothing is given", self.name);
        }
        format!("{} must be {expected}, not {found}", self.name)
    }

    fn malformed(&self, rule: &Rule<'_>) -> (String, Option<String>) {
        let shown = self.shown.as_ref().map(|shown| format!(": `{shown}`"));
        let (name, shown) = (&self.name, shown.unwrap_or_default());
        match rule.format() {
            units::FORMAT if self.is_zero() => (format!("{name} cannot be zero"), None),
            units::FORMAT | units::FORMAT_OR_ZERO => (
                format!("{name} is not a duration of at most a year{shown}"),
                Some("write numbers with units (ms, s, m, h, d), such as `250ms` or `15s`".to_owned()),
            ),
            units::ADDRESS_FORMAT => (
                format!("{name} is not an address and port{shown}"),
                Some(format!("such as `127.0.0.1:{}`", self.port().unwrap_or(8080))),
            ),
            _ => (format!("{name} is malformed"), rule.description()),
        }
    }

    fn is_zero(&self) -> bool {
        self.node.text().and_then(units::parse_duration) == Some(Duration::ZERO)
    }

    fn port(&self) -> Option<u16> {
        self.shown.as_ref()?.rsplit(':').next()?.parse().ok()
    }
}

fn unknown_keys(
    node: &Node,
    path: &[String],
    rule: &Rule<'_>,
    unexpected: &[String],
    findings: &mut Vec<Finding>,
) {
    let known = rule.properties();
    for key in unexpected {
        let Some(entry) = node.entry(key) else {
            continue;
        };
        let message = format!("unknown key `{key}`{}", place::inside(path));
        if let Some(advice) = pasted::advice(path, entry) {
            findings.push(Finding::new(entry.span, message).suggest(advice));
            continue;
        }
        let suggestion = match nearest(key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => rule
                .section_with(key)
                .map(|section| format!("`{key}` belongs under `{section}:`"))
                .unwrap_or_else(|| format!("known here: {}", known.join(", "))),
        };
        findings.push(Finding::new(entry.span, message).suggest(suggestion));
    }
}

/// The value as it is spelled, if it may be shown.
fn shown(node: &Node, path: &[String]) -> Option<String> {
    let Kind::Scalar(value, spelled) = &node.kind else {
        return None;
    };
    let hidden = node.origin != Origin::Literal || path.iter().any(|key| is_secret(key));
    let text = value.as_str().unwrap_or(spelled);
    let short = text.chars().count() <= MAX_SHOWN && !text.contains(char::is_control);
    (short && !hidden && !value.is_null()).then(|| text.to_owned())
}

fn shape(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Map(_) => "a map",
        Kind::List(_) => "a list",
        Kind::Scalar(Value::Null, _) => "empty",
        Kind::Scalar(Value::Bool(_), _) => "a boolean",
        Kind::Scalar(Value::Number(_), _) => "a number",
        Kind::Scalar(..) => "a string",
    }
}

/// The candidate most like `word`, if any is like it.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let letters = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    if let Some(same) = candidates.iter().find(|candidate| letters(candidate) == letters(word)) {
        return Some(same);
    }
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn one_of(word: &str, choices: &[&str]) -> String {
    match nearest(word, choices) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", choices.join(", ")),
    }
}
