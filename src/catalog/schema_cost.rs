//! What would it cost to check a value against this schema?
//!
//! A schema is a program: `$ref` calls, `allOf` calls several times. A few hundred bytes can call a
//! million times, or deeper than the stack. So its references are followed once with a budget, and a
//! schema that exceeds it is not used for checks.

use serde_json::Value;

/// Most schemas and members met while every reference is followed.
const MAX_VISITS: usize = 20_000;

/// Deepest nesting, references included.
const MAX_DEPTH: usize = 128;

/// Most work for one value of a schema that calls itself.
const MAX_CALLS: u64 = 100_000;

/// What following all references showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SchemaCost {
    /// Places where the schema calls a part of itself that is still being read.
    recursions: u32,
}

impl SchemaCost {
    /// `None` when `schema` costs too much, or refers to something other than a place in itself.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        let has_id =
            schema.get("$schema").and_then(Value::as_str).is_some_and(|url| url.contains("draft-04"));
        let mut walk = Walk { root: schema, has_id, open: vec![""], visits: 0, recursions: 0 };
        walk.visit(schema, 0)?;
        Some(Self { recursions: walk.recursions })
    }

    /// Whether checking `value` is cheap: a schema that calls itself in several places may do so again
    /// at each level of the value.
    pub(super) fn allows(self, value: &Value) -> bool {
        let levels = u32::try_from(depth(value)).unwrap_or(u32::MAX);
        self.recursions < 2 || u64::from(self.recursions).saturating_pow(levels) <= MAX_CALLS
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// Whether `id` gives a schema a name of its own, as in draft 4.
    has_id: bool,
    /// The references that led here.
    open: Vec<&'a str>,
    visits: usize,
    recursions: u32,
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
            self.recursions += 1;
            return Some(());
        }
        let target = self.root.pointer(pointer)?;
        self.open.push(pointer);
        let outcome = self.visit(target, depth + 1);
        self.open.pop();
        outcome
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
        assert!(SchemaCost::of(&chain(40, |next| next)).is_some());
        assert!(SchemaCost::of(&chain(20_000, |next| next)).is_none());
        assert!(SchemaCost::of(&chain(30, |next| json!({"allOf": [next.clone(), next]}))).is_none());
    }

    #[test]
    fn a_schema_that_calls_itself_twice_is_used_for_shallow_values_only() {
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        let cost = SchemaCost::of(&tree).unwrap();
        let nested = |levels| (0..levels).fold(json!({}), |inner, _| json!({"left": inner}));
        assert!(cost.allows(&nested(10)));
        assert!(!cost.allows(&nested(40)));
        let list = SchemaCost::of(&json!({"properties": {"next": {"$ref": "#"}}})).unwrap();
        assert!(list.allows(&nested(60)));
    }

    #[test]
    fn references_that_need_more_than_a_place_in_the_schema_are_refused() {
        for schema in [
            json!({"$ref": "https://example.com/s"}),
            json!({"$ref": "#nowhere"}),
            json!({"items": {"$id": "other", "$ref": "#/x"}}),
        ] {
            assert_eq!(SchemaCost::of(&schema), None, "{schema}");
        }
        assert!(SchemaCost::of(&json!({"$id": "here", "properties": {"$id": {"type": "string"}}})).is_some());
    }
}
