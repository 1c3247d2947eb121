//! Has the file the right shape? Checked against the JSON Schema that its own types generate.

use std::net::SocketAddr;

use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::file::File;
use super::problem::Finding;
use super::tree::{Node, Origin};
use super::wording;
use crate::units;

/// The JSON Schema (draft 2020-12) of the configuration file, for editors and for checks.
pub fn json_schema() -> Value {
    schemars::schema_for!(File).to_value()
}

/// Reports everything in `root` that the schema does not allow.
pub(crate) fn check(root: &Node, findings: &mut Vec<Finding>) {
    let schema = json_schema();
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
}
