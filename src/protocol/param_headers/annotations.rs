//! Which `x-mcp-header` annotations does a tool's schema carry, and can they be followed?

use std::collections::HashSet;

use super::ParamHeader;
use crate::protocol::{Object, RawJson, scan};

const ANNOTATION: &str = "x-mcp-header";

/// Largest annotated schema that is read, in bytes.
const MAX_SCHEMA: usize = 1 << 20;
/// Most headers of one tool: a request has room for a hundred in all.
const MAX_HEADERS: usize = 32;
/// Longest name of a header without its prefix, in bytes.
const MAX_NAME: usize = 128;
/// Longest part of a schema that is repeated in a complaint, in characters.
const MAX_SHOWN: usize = 80;

/// Reads the annotations of an `inputSchema`.
///
/// # Errors
/// What makes the tool invalid: an annotation whose value is no header name or stands twice, whose property
/// is neither a string nor an integer nor a boolean, or that cannot be reached by `properties` alone.
pub fn read(schema: &RawJson) -> Result<Vec<ParamHeader>, String> {
    if !may_be_annotated(schema.as_bytes()) {
        return Ok(Vec::new());
    }
    if schema.len() > MAX_SCHEMA || !scan(schema.as_bytes()) {
        return Err(format!("`{ANNOTATION}` stands in a schema that is too large or too deep"));
    }
    let mut reader = Reader::default();
    reader.schema(schema, Some(&mut Vec::new()))?;
    Ok(reader.found)
}

/// The same schema without annotations, every other member as it was spelt; `None` if it cannot be cut.
pub fn strip(schema: &RawJson) -> Option<RawJson> {
    if schema.len() > MAX_SCHEMA || !scan(schema.as_bytes()) {
        return None;
    }
    stripped(schema)
}

/// A letter or a hyphen may be spelt as an escape.
fn may_be_annotated(text: &[u8]) -> bool {
    let has = |word: &str| memchr::memmem::find(text, word.as_bytes()).is_some();
    has(ANNOTATION) || has("\\u")
}

/// What a member of a schema holds.
enum Holds {
    /// Schemas by the name of a property.
    Properties,
    /// Schemas by another name.
    Named,
    /// One schema, or a list of them.
    Schemas,
    /// Data, or nothing known: an annotation's name in it means nothing.
    Data,
}

/// Keywords of JSON Schema 2020-12, and those older drafts had instead.
const NAMED: &[&str] = &["patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
const SCHEMAS: &[&str] = &[
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "contentSchema",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
];

impl Holds {
    fn of(keyword: &str) -> Self {
        match keyword {
            "properties" => Self::Properties,
            other if NAMED.contains(&other) => Self::Named,
            other if SCHEMAS.contains(&other) => Self::Schemas,
            _ => Self::Data,
        }
    }
}

#[derive(Default)]
struct Reader {
    found: Vec<ParamHeader>,
    names: HashSet<String>,
}

impl Reader {
    /// Reads one schema; `path` leads to it unless more than `properties` does.
    fn schema(&mut self, schema: &RawJson, mut path: Option<&mut Vec<String>>) -> Result<(), String> {
        if !schema.is_object() {
            return Ok(());
        }
        let object = parse(schema)?;
        if let Some(name) = object.get(ANNOTATION) {
            self.annotation(&object, name, path.as_deref().map(Vec::as_slice))?;
        }
        for (keyword, value) in object.members() {
            match Holds::of(&keyword) {
                Holds::Properties => self.named(value, path.as_deref_mut())?,
                Holds::Named => self.named(value, None)?,
                Holds::Schemas => {
                    self.schema(value, None)?;
                    value.elements().iter().try_for_each(|element| self.schema(element, None))?;
                }
                Holds::Data => {}
            }
        }
        Ok(())
    }

    fn named(&mut self, schemas: &RawJson, mut path: Option<&mut Vec<String>>) -> Result<(), String> {
        if !schemas.is_object() {
            return Ok(());
        }
        for (name, schema) in parse(schemas)?.members() {
            if let Some(path) = path.as_deref_mut() {
                path.push(name.into_owned());
            }
            self.schema(schema, path.as_deref_mut())?;
            if let Some(path) = path.as_deref_mut() {
                path.pop();
            }
        }
        Ok(())
    }

    fn annotation(
        &mut self,
        property: &Object,
        name: &RawJson,
        path: Option<&[String]>,
    ) -> Result<(), String> {
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Err(format!("`{ANNOTATION}` stands where not only `properties` leads to"));
        };
        let place = shown(&path.join("."));
        let name = name.string().filter(|name| is_name(name));
        let name = name.ok_or_else(|| format!("`{ANNOTATION}` of `{place}` is no name of a header"))?;
        let kind = property.get("type").and_then(RawJson::string);
        if !kind.is_some_and(|kind| matches!(&*kind, "string" | "integer" | "boolean")) {
            return Err(format!("`{place}` has `{ANNOTATION}` but is no string, integer or boolean"));
        }
        if !self.names.insert(name.to_ascii_lowercase()) {
            return Err(format!("`{ANNOTATION}` of `{place}` stands twice: `{name}`"));
        }
        if self.names.len() > MAX_HEADERS {
            return Err(format!("`{ANNOTATION}` stands more than {MAX_HEADERS} times"));
        }
        self.found.push(ParamHeader { header: format!("Mcp-Param-{name}"), path: path.to_vec() });
        Ok(())
    }
}

fn parse(schema: &RawJson) -> Result<Object, String> {
    Object::parse(schema).ok_or_else(|| "the schema has a member that stands twice".to_owned())
}

/// Whether a header may be called so (RFC 9110, `token`).
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_token)
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

fn stripped(schema: &RawJson) -> Option<RawJson> {
    if !schema.is_object() {
        return Some(schema.clone());
    }
    let mut object = Object::parse(schema)?;
    object.remove(ANNOTATION);
    for (keyword, value) in object.members_mut() {
        match Holds::of(&keyword) {
            Holds::Properties | Holds::Named if value.is_object() => {
                let mut schemas = Object::parse(value)?;
                for (_, schema) in schemas.members_mut() {
                    *schema = stripped(schema)?;
                }
                *value = schemas.to_json();
            }
            Holds::Schemas if value.is_array() => {
                let elements: Option<Vec<RawJson>> = value.elements().iter().map(stripped).collect();
                *value = RawJson::of(&elements?);
            }
            Holds::Schemas => *value = stripped(value)?,
            Holds::Properties | Holds::Named | Holds::Data => {}
        }
    }
    Some(object.to_json())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    fn read_properties(properties: Value) -> Result<Vec<ParamHeader>, String> {
        read(&RawJson::of(&json!({ "type": "object", "properties": properties })))
    }

    #[test]
    fn annotations_are_found_along_properties_and_mean_nothing_in_data() {
        let found = read_properties(json!({
            "where": { "type": "object", "properties": {
                "region": { "type": "string", "x-mcp-header": "Region" } } },
            "x-mcp-header": { "type": "boolean", "x-mcp-header": "Flag" },
            "plain": { "type": "object", "default": { "x-mcp-header": 1 }, "enum": [{ "x-mcp-header": "" }] },
        }));
        let flag = ParamHeader { header: "Mcp-Param-Flag".to_owned(), path: vec!["x-mcp-header".into()] };
        let path = vec!["where".into(), "region".into()];
        let region = ParamHeader { header: "Mcp-Param-Region".to_owned(), path };
        assert_eq!(found.unwrap(), [region, flag]);
        assert_eq!(read(&raw(r#"{"properties":{"a":{"type":"number"}}}"#)), Ok(vec![]));
    }

    #[test]
    fn whatever_breaks_a_rule_makes_the_tool_invalid() {
        let property = |kind: Value, name: Value| json!({ "a": { "type": kind, "x-mcp-header": name } });
        for name in [json!(""), json!("a b"), json!("a:b"), json!("Région"), json!("a\t"), json!(7)] {
            assert!(read_properties(property(json!("string"), name.clone())).is_err(), "{name}");
        }
        for kind in [json!("number"), json!("object"), json!(["string", "null"]), json!(null)] {
            assert!(read_properties(property(kind.clone(), json!("A"))).is_err(), "{kind}");
        }
        let good = json!({ "type": "string", "x-mcp-header": "Region" });
        let twice = json!({ "a": good, "b": { "properties": { "c": { "type": "string", "x-mcp-header": "rEGION" } } } });
        assert!(read_properties(twice).is_err());
        for keyword in ["items", "additionalProperties", "not", "if", "then", "else", "contains"] {
            assert!(read_properties(json!({ "a": { keyword: good } })).is_err(), "{keyword}");
            assert!(read_properties(json!({ "a": { keyword: { "properties": { "b": good } } } })).is_err());
        }
        for keyword in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            assert!(read_properties(json!({ "a": { keyword: [good] } })).is_err(), "{keyword}");
        }
        for keyword in ["$defs", "definitions", "patternProperties"] {
            assert!(read_properties(json!({ "a": { keyword: { "x": good } } })).is_err(), "{keyword}");
        }
        assert!(read(&RawJson::of(&good)).is_err(), "the root is no property");
        assert!(read(&raw(r#"{"properties":{"a":{"x-mcp\u002dheader":""}}}"#)).is_err());
    }

    #[test]
    fn a_schema_without_bounds_is_refused_and_not_walked() {
        let deep = format!(r#"{}{{"x-mcp-header":"A"}}{}"#, r#"{"items":"#.repeat(100), "}".repeat(100));
        assert!(read(&raw(&deep)).is_err() && strip(&raw(&deep)).is_none());
        let properties: Vec<String> = (0..=MAX_HEADERS)
            .map(|n| format!(r#""p{n}":{{"type":"string","x-mcp-header":"H{n}"}}"#))
            .collect();
        assert!(read(&raw(&format!(r#"{{"properties":{{{}}}}}"#, properties.join(",")))).is_err());
        assert_eq!(
            read(&raw(&format!(r#"{{"properties":{{{}}}}}"#, properties[1..].join(",")))).unwrap().len(),
            MAX_HEADERS
        );
    }

    #[test]
    fn stripping_takes_the_annotations_and_nothing_else() {
        let text = r#"{"n":1.50e+2,"properties":{"x-mcp-header":{"x-mcp-header":"","type":"string"},"b":true},"items":{"oneOf":[{"x-mcp-header":1,"const":{"x-mcp-header":2}},false]}}"#;
        let expected = r#"{"n":1.50e+2,"properties":{"x-mcp-header":{"type":"string"},"b":true},"items":{"oneOf":[{"const":{"x-mcp-header":2}},false]}}"#;
        let stripped = strip(&raw(text)).unwrap();
        assert_eq!(stripped.as_str(), expected);
        assert_eq!(read(&stripped), Ok(vec![]));
    }
}
