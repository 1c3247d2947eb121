//! How does a client read a form of a later revision (MCP 2025-11-25, client/elicitation, requested schema)?
//!
//! | what | since | before that |
//! |---|---|---|
//! | one choice as `oneOf`, with titles | 2025-11-25 | `enum` and `enumNames` |
//! | `default` of what is no boolean | 2025-11-25 | none |
//! | `mode` | 2025-11-25 | none: a form is all there was |
//! | several choices: an array | 2025-11-25 | nothing says the same, and the question cannot be asked |

use crate::protocol::{Object, RawJson, Revision, question};

/// The parameters of a question as a client of `revision` can read them; `None` if it cannot.
pub(in crate::router) fn readable(
    method: &str,
    revision: Revision,
    params: Option<RawJson>,
) -> Option<Option<RawJson>> {
    if method != question::ELICIT || revision >= Revision::V2025_11_25 {
        return Some(params);
    }
    let Some(mut object) = params.as_ref().and_then(Object::parse) else { return Some(params) };
    object.remove("mode");
    if let Some(schema) = object.get("requestedSchema").and_then(Object::parse) {
        object.set("requestedSchema", with_older_properties(schema)?);
    }
    Some(Some(object.to_json()))
}

fn with_older_properties(mut schema: Object) -> Option<RawJson> {
    if let Some(mut properties) = schema.get("properties").and_then(Object::parse) {
        for (_, property) in properties.members_mut() {
            *property = older(property)?;
        }
        schema.set("properties", properties.to_json());
    }
    Some(schema.to_json())
}

fn older(property: &RawJson) -> Option<RawJson> {
    let Some(mut object) = Object::parse(property) else { return Some(property.clone()) };
    let kind = object.get("type").and_then(RawJson::string).unwrap_or_default().into_owned();
    if kind == "array" {
        return None;
    }
    if kind != "boolean" {
        object.remove("default");
    }
    if let Some(choices) = object.remove("oneOf") {
        let (values, titles) = choices_of(&choices)?;
        object.set("enum", RawJson::of(&values)).set("enumNames", RawJson::of(&titles));
    }
    Some(object.to_json())
}

/// What can be chosen, and what it is called.
fn choices_of(choices: &RawJson) -> Option<(Vec<RawJson>, Vec<RawJson>)> {
    let choice = |choice: RawJson| {
        let value = choice.get("const")?;
        let title = choice.get("title").unwrap_or_else(|| value.clone());
        Some((value, title))
    };
    choices.elements().into_iter().map(choice).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(revision: Revision, property: &str) -> Option<String> {
        let form = format!(
            r#"{{"mode":"form","message":"?","requestedSchema":{{"type":"object","properties":{{"a":{property}}},"n":1.0}}}}"#
        );
        let params = RawJson::parse(form.into()).unwrap();
        let read = readable(question::ELICIT, revision, Some(params))?.unwrap();
        Some(read.get("requestedSchema")?.get("properties")?.get("a")?.as_str().to_owned())
    }

    #[test]
    fn a_choice_keeps_its_titles_and_nothing_is_preset_but_a_boolean() {
        let choice = r#"{"type":"string","title":"A","oneOf":[{"const":"r","title":"Red"},{"const":"g"}],"default":"r"}"#;
        let older = r#"{"type":"string","title":"A","enum":["r","g"],"enumNames":["Red","g"]}"#;
        assert_eq!(asked(Revision::V2025_06_18, choice).unwrap(), older);
        assert_eq!(asked(Revision::V2025_11_25, choice).unwrap(), choice);
        let number = r#"{"type":"number","maximum":1e400,"default":1.50}"#;
        assert_eq!(asked(Revision::V2025_06_18, number).unwrap(), r#"{"type":"number","maximum":1e400}"#);
        let flag = r#"{"type":"boolean","default":true}"#;
        assert_eq!(asked(Revision::V2025_06_18, flag).unwrap(), flag);
    }

    #[test]
    fn several_choices_cannot_be_asked_and_other_questions_are_not_looked_at() {
        let several = r#"{"type":"array","items":{"enum":["a"]}}"#;
        assert!(asked(Revision::V2025_06_18, several).is_none());
        assert!(asked(Revision::LATEST_LEGACY, several).is_some());
        assert_eq!(readable(question::LIST_ROOTS, Revision::V2024_11_05, None), Some(None));
    }
}
