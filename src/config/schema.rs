//! Has the file the right shape? Checked against the JSON Schema that its own types generate.

use std::net::SocketAddr;

use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::file::File;
use super::problem::Finding;
use super::tree::{Node, Origin};
use super::wording;
use crate::units;

/// The JSON Schema (draft 2020-12) of the configuration file as it is written, for editors: where a number, a
/// switch or a word is expected, a reference may stand.
pub fn json_schema() -> Value {
    let mut schema = replaced_schema();
    let definitions = schema.get_mut("$defs").and_then(Value::as_object_mut);
    for definition in definitions.into_iter().flat_map(Map::values_mut) {
        allow_references(definition);
    }
    allow_references(&mut schema);
    schema
}

/// The schema of the file once references are replaced.
fn replaced_schema() -> Value {
    schemars::schema_for!(File).to_value()
}

/// Keywords that no reference satisfies, though what it stands for may.
const NARROW: [&str; 9] =
    ["type", "format", "pattern", "enum", "oneOf", "anyOf", "minimum", "maximum", "exclusiveMinimum"];

/// Lets every scalar under `properties` that is more than text be a reference too.
fn allow_references(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if !is_narrow_scalar(property) {
            continue;
        }
        let mut narrow: Map<String, Value> =
            NARROW.iter().filter_map(|key| property.shift_remove_entry(*key)).collect();
        // Rust's own formats, such as `uint`, which editors do not know.
        if narrow.contains_key("minimum") {
            narrow.shift_remove("format");
        }
        property.insert("anyOf".to_owned(), json!([narrow, { "type": "string", "pattern": r"\$\{" }]));
    }
}

fn is_narrow_scalar(property: &Map<String, Value>) -> bool {
    let kinds = match property.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_collection =
        property.contains_key("$ref") || kinds.iter().any(|kind| matches!(*kind, "object" | "array"));
    let is_any_text = kinds.contains(&"string")
        && !["format", "pattern", "enum"].iter().any(|key| property.contains_key(*key));
    let allows_references =
        property.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.contains(r"\$\{"));
    let is_typed = !kinds.is_empty() || ["enum", "oneOf"].iter().any(|key| property.contains_key(*key));
    is_typed && !is_collection && !is_any_text && !allows_references
}

/// Reports everything in `root` that the schema does not allow.
pub(crate) fn check(root: &Node, findings: &mut Vec<Finding>) {
    let schema = replaced_schema();
    let validator = match validator(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the schema itself is invalid: {error}");
            return findings.push(Finding::new(root.span, message));
        }
    };
    for error in validator.iter_errors(&root.to_value()) {
        let path = instance_path(&error);
        let (node, _) = root.at(&path);
        if node.origin != Origin::Unresolved {
            wording::describe(root, &path, &schema, &error, findings);
        }
    }
}

fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_format(units::FORMAT, |text: &str| {
            units::parse_duration(text).is_some_and(|duration| !duration.is_zero())
        })
        .with_format(units::FORMAT_OR_ZERO, |text: &str| units::parse_duration(text).is_some())
        .with_format(units::ADDRESS_FORMAT, |text: &str| text.parse::<SocketAddr>().is_ok())
        .build(schema)
        .map_err(|error| error.to_string())
}

fn instance_path(error: &ValidationError<'_>) -> Vec<String> {
    error
        .instance_path()
        .iter()
        .map(|segment| match segment {
            LocationSegment::Property(name) => name.into_owned(),
            LocationSegment::Index(index) => index.to_string(),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_key_and_shows_the_defaults() {
        let schema = json_schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        for (name, section) in schema["$defs"].as_object().unwrap() {
            for (key, property) in section["properties"].as_object().into_iter().flatten() {
                assert!(property.get("description").is_some(), "{name}.{key}");
            }
        }
        let call = &schema["$defs"]["TimeoutSettings"]["properties"]["call"];
        assert_eq!(call["default"], "1m");
        let failures = &schema["$defs"]["BreakerSettings"]["properties"]["failures"];
        assert_eq!(failures["anyOf"][1]["pattern"], r"\$\{");
        assert!(schema["properties"].get("mcpServers").is_some());
    }

    #[test]
    fn every_default_in_the_schema_is_allowed_by_the_schema() {
        let schema = json_schema();
        let mut file = serde_json::Map::new();
        for (key, property) in schema["properties"].as_object().unwrap() {
            if let Some(default) = property.get("default") {
                file.insert(key.clone(), default.clone());
            }
        }
        assert!(validator(&schema).unwrap().validate(&Value::Object(file)).is_ok());
    }

    #[test]
    fn the_published_schema_allows_the_files_that_are_shipped_with_their_references() {
        let validator = validator(&json_schema()).unwrap();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = std::fs::read_dir(root.join("tests/config/valid")).unwrap();
        let valid = folder.map(|entry| entry.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // `none.yaml` has sections without a value, which mean as much as their absence.
            name.ends_with(".yaml") && !name.contains("pasted") && name != "none.yaml"
        });
        for path in valid.chain([root.join("gateway.yaml"), root.join("deploy/gateway.yaml")]) {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = crate::config::yaml::parse(&text).unwrap().to_value();
            let found: Vec<String> = validator
                .iter_errors(&file)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}
