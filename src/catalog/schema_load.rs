//! How much work is a value of each level to check against this schema?
//!
//! Of all values on a level, the one that most parts of the schema apply to counts. Parts that apply to the same value
//! (`anyOf`, `$ref`, …) add up; of parts that apply to different members the largest counts. A schema that calls itself
//! in several places at once multiplies with each level, and so does its load.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::value_shape::LEVELS;

/// Most steps to find out.
const MAX_STEPS: usize = 300_000;
/// Deepest call, all references and levels included.
const MAX_DEPTH: usize = 600;
/// `unevaluatedProperties` and `unevaluatedItems` check the parts beside them once more.
const UNEVALUATED_FACTOR: u64 = 3;

/// The load of each level, up to the last that the schema says anything about; `None` for a schema that calls itself
/// without going down, or that costs too much to look through.
pub(super) fn load_of(schema: &Value) -> Option<Vec<u64>> {
    let mut walk = Walk { root: schema, known: HashMap::new(), steps: 0 };
    let mut levels = Vec::new();
    for level in 0..LEVELS {
        match walk.load(schema, level, 0)? {
            0 => break,
            load => levels.push(load),
        }
    }
    Some(levels)
}

struct Walk<'a> {
    root: &'a Value,
    /// By the part of the schema and the levels below it; `None` while it is being found.
    known: HashMap<(*const Value, usize), Option<u64>>,
    steps: usize,
}

impl<'a> Walk<'a> {
    /// The load of `schema` on a value `level` levels below the one that it applies to.
    fn load(&mut self, schema: &'a Value, level: usize, depth: usize) -> Option<u64> {
        let Value::Object(members) = schema else { return Some(u64::from(level == 0)) };
        let key = (std::ptr::from_ref(schema), level);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.steps += 1;
        if self.steps > MAX_STEPS || depth > MAX_DEPTH {
            return None;
        }
        self.known.insert(key, None);
        let mut beside = 0u64;
        for (keyword, value) in members {
            for part in self.parts_beside(keyword, value)? {
                beside = beside.saturating_add(self.load(part, level, depth + 1)?);
            }
        }
        if members.keys().any(|keyword| keyword.starts_with("unevaluated")) {
            beside = beside.saturating_mul(UNEVALUATED_FACTOR);
        }
        let own = match level.checked_sub(1) {
            None => own_load(members),
            Some(below) => self.load_below(members, below, depth + 1)?,
        };
        let load = beside.saturating_add(own);
        self.known.insert(key, Some(load));
        Some(load)
    }

    /// The schemas that a keyword applies to the same value.
    fn parts_beside(&self, keyword: &str, value: &'a Value) -> Option<Vec<&'a Value>> {
        Some(match (keyword, value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => parts.iter().collect(),
            ("not" | "if" | "then" | "else", part) => vec![part],
            ("dependentSchemas" | "dependencies", Value::Object(parts)) => parts.values().collect(),
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                vec![self.root.pointer(target.strip_prefix('#')?)?]
            }
            _ => Vec::new(),
        })
    }

    /// The load of what is said about members and items.
    fn load_below(&mut self, members: &'a Map<String, Value>, below: usize, depth: usize) -> Option<u64> {
        let mut load = 0u64;
        for (keyword, value) in members {
            let part = match (&**keyword, value) {
                ("properties", Value::Object(parts)) => self.largest(parts.values(), below, depth)?,
                ("prefixItems" | "items", Value::Array(parts)) => self.largest(parts.iter(), below, depth)?,
                ("patternProperties", Value::Object(parts)) => {
                    let mut sum = parts.len() as u64;
                    for part in parts.values() {
                        sum = sum.saturating_add(self.load(part, below, depth)?);
                    }
                    sum
                }
                (
                    "additionalProperties"
                    | "unevaluatedProperties"
                    | "propertyNames"
                    | "items"
                    | "additionalItems"
                    | "unevaluatedItems"
                    | "contains",
                    part,
                ) => self.load(part, below, depth)?,
                ("uniqueItems", Value::Bool(true)) => 4,
                _ => 0,
            };
            load = load.saturating_add(part);
        }
        Some(load)
    }

    fn largest(&mut self, parts: impl Iterator<Item = &'a Value>, below: usize, depth: usize) -> Option<u64> {
        let mut largest = 0;
        for part in parts {
            largest = self.load(part, below, depth)?.max(largest);
        }
        Some(largest)
    }
}

/// What the keywords cost that look at the value itself, such as a long `enum`.
fn own_load(members: &Map<String, Value>) -> u64 {
    let each = members.iter().map(|(keyword, value)| match &**keyword {
        "enum" | "const" | "required" | "dependentRequired" | "type" => 1 + size(value),
        "$defs" | "definitions" | "description" | "title" | "examples" | "default" => 0,
        _ => 1,
    });
    1 + each.sum::<u64>()
}

fn size(value: &Value) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_for_the_same_value_add_up_and_members_do_not() {
        let form = |n| json!({"properties": {"a": {"const": n}}, "required": ["a"]});
        let forms: Vec<Value> = (0..200).map(form).collect();
        let load = load_of(&json!({"properties": {"a": {"items": {"anyOf": forms}}}})).unwrap();
        assert_eq!(load.len(), 4);
        assert!(load[1] < 10 && load[2] >= 200 && load[3] >= 200, "{load:?}");
        let members: Map<String, Value> =
            (0..200).map(|n| (format!("m{n}"), json!({"type": "string"}))).collect();
        assert!(load_of(&json!({"properties": members})).unwrap()[1] < 10);
    }

    #[test]
    fn a_schema_that_calls_itself_once_a_level_stays_and_one_that_does_twice_doubles() {
        let list = load_of(&json!({"properties": {"next": {"$ref": "#"}}})).unwrap();
        assert_eq!((list.len(), list[1]), (LEVELS, list[64]));
        let tree = load_of(&json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}})).unwrap();
        assert_eq!(tree[1], tree[64], "a value is on one side only");
        let twice = json!({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]});
        assert!(load_of(&twice).unwrap()[40] > 1 << 40);
    }

    #[test]
    fn a_schema_that_calls_itself_without_end_has_no_load() {
        assert_eq!(load_of(&json!({"$ref": "#"})), None);
        assert_eq!(load_of(&json!({"allOf": [{"anyOf": [{"$ref": "#"}]}]})), None);
        assert_eq!(load_of(&json!({"$ref": "#/nowhere"})), None);
    }
}
