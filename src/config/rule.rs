//! What does the schema say about the place where it was broken?

use jsonschema::ValidationError;
use jsonschema::error::TypeKind;
use serde_json::Value;

use crate::units;

/// The part of the schema that was broken.
pub(crate) struct Rule<'a> {
    schema: &'a Value,
    part: &'a Value,
}

impl<'a> Rule<'a> {
    pub(crate) fn of(schema: &'a Value, error: &ValidationError<'_>) -> Self {
        let pointer = error.schema_path().to_string();
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let part = schema.pointer(parent).unwrap_or(&Value::Null);
        Self { schema, part }
    }

    pub(crate) fn properties(&self) -> Vec<&'a str> {
        keys(self.part).collect()
    }

    /// The section one level below that knows `key`.
    pub(crate) fn section_with(&self, key: &str) -> Option<&'a str> {
        let properties = self.part.get("properties")?.as_object()?;
        properties
            .iter()
            .find(|(_, property)| keys(self.follow(property)).any(|known| known == key))
            .map(|(section, _)| section.as_str())
    }

    fn follow(&self, property: &'a Value) -> &'a Value {
        let target = property.get("$ref").and_then(Value::as_str);
        target.and_then(|target| self.schema.pointer(target.strip_prefix('#')?)).unwrap_or(property)
    }

    /// What the schema says about the property `key`.
    pub(crate) fn about(&self, key: &str) -> Option<String> {
        description(self.part.get("properties")?.get(key)?)
    }

    pub(crate) fn description(&self) -> Option<String> {
        description(self.part)
    }

    pub(crate) fn format(&self) -> &'a str {
        self.part.get("format").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn choices(&self) -> Vec<&'a str> {
        let listed = self.part.get("enum").and_then(Value::as_array);
        let described = self.part.get("oneOf").and_then(Value::as_array);
        let described = described.into_iter().flatten().filter_map(|one| one.get("const"));
        let choices = listed.into_iter().flatten().chain(described);
        choices.filter_map(Value::as_str).collect()
    }

    pub(crate) fn range(&self) -> String {
        let bound = |key: &str| self.part.get(key).and_then(Value::as_f64);
        match (bound("minimum"), bound("maximum")) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "out of range".to_owned(),
        }
    }

    pub(crate) fn expected(&self, kind: &TypeKind) -> String {
        if matches!(self.format(), units::FORMAT | units::FORMAT_OR_ZERO) {
            return "a duration such as `15s`".to_owned();
        }
        if self.format() == units::ADDRESS_FORMAT {
            return "an address and port such as `127.0.0.1:8080`".to_owned();
        }
        let names: Vec<_> = match kind {
            TypeKind::Single(one) => vec![word(one.as_str())],
            TypeKind::Multiple(set) => {
                set.iter().filter(|one| one.as_str() != "null").map(|one| word(one.as_str())).collect()
            }
        };
        if names.contains(&"a string") {
            return "a string".to_owned();
        }
        names.join(" or ")
    }
}

fn description(property: &Value) -> Option<String> {
    let text = property.get("description")?.as_str()?;
    Some(text.trim_end_matches('.').to_owned())
}

fn word(json_type: &str) -> &'static str {
    match json_type {
        "array" => "a list",
        "object" => "a map",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        _ => "a string",
    }
}

fn keys(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(key, _)| key.as_str())
}
