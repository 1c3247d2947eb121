//! What would it cost to compile this schema?
//!
//! A schema is a program: `$ref` calls, `allOf` calls several times. A few hundred bytes can call a
//! million times, or deeper than the stack. So its references are followed once with a budget, and a
//! schema that exceeds it is not used for checks.

use serde_json::Value;

/// Most schemas and members met while every reference is followed.
const MAX_VISITS: usize = 20_000;

/// Deepest nesting, references included.
const MAX_DEPTH: usize = 128;

/// Most patterns: each is compiled.
const MAX_PATTERNS: usize = 256;

/// Whether `schema` can be compiled and called at a bounded price, and refers to nothing but places in itself.
pub(super) fn is_bounded(schema: &Value) -> bool {
    let has_id = schema.get("$schema").and_then(Value::as_str).is_some_and(|url| url.contains("draft-04"));
    let mut walk = Walk { root: schema, has_id, open: vec![""], visits: 0, patterns: 0 };
    walk.visit(schema, 0).is_some()
}

struct Walk<'a> {
    root: &'a Value,
    /// Whether `id` gives a schema a name of its own, as in draft 4.
    has_id: bool,
    /// The references that led here.
    open: Vec<&'a str>,
    visits: usize,
    patterns: usize,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, value: &'a Value, depth: usize) -> Option<()> {
        self.visits += 1;
        if self.visits > MAX_VISITS || depth > MAX_DEPTH {
            return None;
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, depth + 1)),
            Value::Object(members) => {
                members.iter().try_for_each(|(keyword, value)| self.member(keyword, value, depth))
            }
            _ => Some(()),
        }
    }

    fn member(&mut self, keyword: &str, value: &'a Value, depth: usize) -> Option<()> {
        self.patterns += match (keyword, value) {
            ("pattern", Value::String(_)) => 1,
            ("patternProperties", Value::Object(patterns)) => patterns.len(),
            _ => 0,
        };
        if self.patterns > MAX_PATTERNS {
            return None;
        }
        match (keyword, value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                self.follow(target.strip_prefix('#')?, depth)
            }
            // A schema with a name of its own gives its references another meaning.
            ("$id", Value::String(_)) if depth > 0 => None,
            ("id", Value::String(_)) if depth > 0 && self.has_id => None,
            // Read where they are referred to.
            ("$defs" | "definitions", Value::Object(_)) => Some(()),
            _ => self.visit(value, depth + 1),
        }
    }

    fn follow(&mut self, pointer: &'a str, depth: usize) -> Option<()> {
        if self.open.contains(&pointer) {
            return Some(());
        }
        let target = self.root.pointer(pointer)?;
        self.open.push(pointer);
        let outcome = self.visit(target, depth + 1);
        self.open.pop();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `length` definitions, each made by `body` from a reference to the next.
    fn chain(length: usize, body: impl Fn(Value) -> Value) -> Value {
        let definitions = (0..length)
            .map(|n| (format!("d{n}"), body(json!({"$ref": format!("#/$defs/d{}", n + 1)}))))
            .chain([(format!("d{length}"), json!({"type": "object"}))]);
        let definitions: serde_json::Map<String, Value> = definitions.collect();
        json!({"$defs": definitions, "$ref": "#/$defs/d0"})
    }

    #[test]
    fn a_chain_deeper_than_the_stack_and_a_fan_wider_than_time_are_refused() {
        assert!(is_bounded(&chain(40, |next| next)));
        assert!(!is_bounded(&chain(20_000, |next| next)));
        assert!(!is_bounded(&chain(30, |next| json!({"allOf": [next.clone(), next]}))));
    }

    #[test]
    fn more_patterns_than_anybody_needs_are_not_compiled() {
        let patterns =
            |count| (0..count).map(|n| json!({"pattern": format!("^a{{{n}}}$")})).collect::<Vec<_>>();
        assert!(is_bounded(&json!({"anyOf": patterns(MAX_PATTERNS)})));
        assert!(!is_bounded(&json!({"anyOf": patterns(MAX_PATTERNS + 1)})));
    }

    #[test]
    fn references_that_need_more_than_a_place_in_the_schema_are_refused() {
        for schema in [
            json!({"$ref": "https://example.com/s"}),
            json!({"$ref": "#nowhere"}),
            json!({"items": {"$id": "other", "$ref": "#/x"}}),
        ] {
            assert!(!is_bounded(&schema), "{schema}");
        }
        assert!(is_bounded(&json!({"$id": "here", "properties": {"$id": {"type": "string"}}})));
    }
}
