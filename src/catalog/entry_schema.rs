//! What must an entry of each list be, in every revision?
//!
//! The members of `Tool`, `Prompt`, `Resource` and `ResourceTemplate` in the schemas of 2025-06-18 to 2026-07-28, as
//! far as the typed clients of the official SDKs check them. Revisions differ in what they add, not in the type of a
//! member, but for `outputSchema`: there [`Audience`](super::Audience) knows what an older client can read.

use super::repair::{Changes, Field, Shape, fields};
use crate::protocol::{ListKind, Object, RawJson, lenient_object};

const TEXTS: Shape = Shape::List(&Shape::Text);

const ICON: Shape = Shape::Object(&[
    Field::required("src", Shape::Text),
    Field::optional("mimeType", Shape::Text),
    Field::optional("sizes", TEXTS),
    Field::optional("theme", Shape::Word(&["light", "dark"])),
]);

const ICONS: Field = Field::optional("icons", Shape::List(&ICON));
const META: Field = Field::optional("_meta", Shape::Map);
const TITLE: Field = Field::optional("title", Shape::Text);
const DESCRIPTION: Field = Field::optional("description", Shape::Text);
const MIME_TYPE: Field = Field::optional("mimeType", Shape::Text);

const RESOURCE_ANNOTATIONS: Field = Field::optional(
    "annotations",
    Shape::Object(&[
        Field::optional("audience", Shape::List(&Shape::Word(&["user", "assistant"]))),
        Field::optional("priority", Shape::Share),
        Field::optional("lastModified", Shape::Timestamp),
    ]),
);

const TOOL: &[Field] = &[
    TITLE,
    DESCRIPTION,
    ICONS,
    META,
    Field::optional(
        "annotations",
        Shape::Object(&[
            TITLE,
            Field::optional("readOnlyHint", Shape::Flag),
            Field::optional("destructiveHint", Shape::Flag),
            Field::optional("idempotentHint", Shape::Flag),
            Field::optional("openWorldHint", Shape::Flag),
        ]),
    ),
    Field::optional(
        "execution",
        Shape::Object(&[Field::optional("taskSupport", Shape::Word(&["forbidden", "optional", "required"]))]),
    ),
];

const PROMPT: &[Field] = &[
    TITLE,
    DESCRIPTION,
    ICONS,
    META,
    Field::optional(
        "arguments",
        Shape::List(&Shape::Object(&[
            Field::required("name", Shape::Text),
            TITLE,
            DESCRIPTION,
            Field::optional("required", Shape::Flag),
        ])),
    ),
];

const RESOURCE: &[Field] = &[
    TITLE,
    DESCRIPTION,
    MIME_TYPE,
    Field::optional("size", Shape::Count),
    RESOURCE_ANNOTATIONS,
    ICONS,
    META,
];

const TEMPLATE: &[Field] = &[TITLE, DESCRIPTION, MIME_TYPE, RESOURCE_ANNOTATIONS, ICONS, META];

const SKILL: &[Field] = &[TITLE, DESCRIPTION, ICONS, META];

/// Repairs what can be repaired in `entry`.
///
/// # Errors
/// The member for which the entry has to be left out.
pub(super) fn repair(kind: ListKind, entry: &mut Object, changes: &mut Changes) -> Result<(), &'static str> {
    let known = match kind {
        ListKind::Tools => TOOL,
        ListKind::Prompts => PROMPT,
        ListKind::Resources => RESOURCE,
        ListKind::ResourceTemplates => TEMPLATE,
        ListKind::Skills => SKILL,
    };
    fields(entry, known, "", changes)?;
    if kind == ListKind::Tools {
        input_schema(entry, changes).ok_or("inputSchema")?;
        output_schema(entry, changes);
    }
    Ok(())
}

/// Arguments are always an object: a schema that does not say so is taken to mean it, one that says otherwise is
/// `None`.
fn input_schema(entry: &mut Object, changes: &mut Changes) -> Option<()> {
    const PATH: &str = "inputSchema";
    let value = entry.get(PATH).cloned().unwrap_or_else(RawJson::empty_object);
    let is_nothing = value.is_null() || value.as_str() == "true";
    let is_nothing = is_nothing || (value.is_array() && value.elements().is_empty());
    let mut schema = if is_nothing { Object::new() } else { lenient_object(&value)? };
    let before = schema.to_json();
    match schema.get("type") {
        Some(kind) if kind.string().as_deref() == Some("object") => {}
        Some(kind) if !kind.is_null() && !allows_object(kind) => return None,
        _ => {
            schema.set("type", RawJson::of("object"));
            changes.note("inputSchema.type", "is set to `object`");
        }
    }
    keywords(&mut schema, PATH, changes);
    if is_nothing || entry.get(PATH).is_none() || schema.to_json() != before {
        entry.set(PATH, schema.to_json());
    }
    Some(())
}

/// A schema that no client could check a result with is left out: the result itself says as much.
fn output_schema(entry: &mut Object, changes: &mut Changes) {
    const PATH: &str = "outputSchema";
    let Some(value) = entry.get(PATH) else { return };
    if value.is_null() {
        entry.remove(PATH);
        return;
    }
    let Some(mut schema) = lenient_object(value).filter(|schema| has_its_references(value, schema)) else {
        entry.remove(PATH);
        changes.note(PATH, "is left out");
        return;
    };
    let before = schema.to_json();
    keywords(&mut schema, PATH, changes);
    if schema.to_json() != before {
        entry.set(PATH, schema.to_json());
    }
}

/// Repairs the keywords that typed clients read at the top of a schema.
fn keywords(schema: &mut Object, path: &str, changes: &mut Changes) {
    let known = [Field::optional("properties", Shape::Map), Field::optional("required", TEXTS)];
    let _ = fields(schema, &known, path, changes);
    if schema.get("$schema").is_some_and(|dialect| dialect.string().is_none()) {
        schema.remove("$schema");
    }
    let Some(mut properties) = schema.get("properties").and_then(lenient_object) else { return };
    let is_schema = |value: &RawJson| value.is_object() || matches!(value.as_str(), "true" | "false");
    let mut is_changed = false;
    for (name, value) in properties.members_mut().filter(|(_, value)| !is_schema(value)) {
        changes.note(&format!("{path}.properties.{name}"), "allows anything");
        *value = RawJson::empty_object();
        is_changed = true;
    }
    if is_changed {
        schema.set("properties", properties.to_json());
    }
}

/// `"Object"`, or one of several types.
fn allows_object(kind: &RawJson) -> bool {
    let is_object = |kind: &RawJson| kind.string().is_some_and(|kind| kind.eq_ignore_ascii_case("object"));
    is_object(kind) || kind.elements().iter().any(is_object)
}

/// Whether every reference within the schema leads to something: the TypeScript SDK compiles the output schemas of a
/// list when it reads it, and fails as a whole for one that leads nowhere.
fn has_its_references(value: &RawJson, schema: &Object) -> bool {
    if memchr::memmem::find(value.as_bytes(), b"$ref").is_none() {
        return true;
    }
    schema.to_json().to().is_some_and(|schema| super::lint::leads_somewhere(&schema))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The entry as it is shown, and what is said of its changes.
    fn shown(kind: ListKind, text: &str) -> Option<(String, Option<String>)> {
        let mut entry = Object::parse(&RawJson::parse(text.to_owned().into()).unwrap()).unwrap();
        let mut changes = Changes::default();
        repair(kind, &mut entry, &mut changes).ok()?;
        Some((entry.to_json().as_str().to_owned(), changes.summary()))
    }

    fn schema(text: &str) -> Option<String> {
        let (entry, _) = shown(ListKind::Tools, &format!(r#"{{"inputSchema":{text}}}"#))?;
        Some(entry.strip_prefix(r#"{"inputSchema":"#)?.strip_suffix('}')?.to_owned())
    }

    #[test]
    fn an_input_schema_is_always_one_of_an_object() {
        const OBJECT: &str = r#"{"type":"object"}"#;
        for nothing in [
            "{}",
            "null",
            "true",
            "[]",
            r#"{"type":null}"#,
            r#"{"type":["object","null"]}"#,
            r#"{"type":"Object"}"#,
        ] {
            assert_eq!(schema(nothing).as_deref(), Some(OBJECT), "{nothing}");
        }
        assert_eq!(shown(ListKind::Tools, "{}").unwrap().0, r#"{"inputSchema":{"type":"object"}}"#);
        for other in [r#"{"type":"string"}"#, r#"{"type":["array"]}"#, "false", "7", r#""{}""#, "[1]"] {
            assert_eq!(schema(other), None, "{other}");
        }
        assert_eq!(schema(r#"{"anyOf":[{"n":1.50}]}"#).unwrap(), r#"{"anyOf":[{"n":1.50}],"type":"object"}"#);
    }

    #[test]
    fn the_keywords_that_clients_read_are_of_their_types() {
        for (found, expected) in [
            (r#""properties":null,"required":null"#, ""),
            (r#""properties":[],"required":{}"#, r#","properties":{},"required":[]"#),
            (r#""properties":{"a":null,"b":true,"c":"string"}"#, r#","properties":{"a":{},"b":true,"c":{}}"#),
            (r#""properties":7,"required":true,"$schema":5"#, r#","required":["true"]"#),
            (r#""required":"a""#, r#","required":["a"]"#),
            (r#""required":["a",null]"#, r#","required":["a"]"#),
        ] {
            let found = schema(&format!(r#"{{"type":"object",{found}}}"#)).unwrap();
            assert_eq!(found, format!(r#"{{"type":"object"{expected}}}"#));
        }
    }

    #[test]
    fn an_output_schema_that_no_client_can_use_is_left_out() {
        let left = |text: &str| {
            let entry = format!(r#"{{"inputSchema":{{"type":"object"}},"outputSchema":{text}}}"#);
            shown(ListKind::Tools, &entry).unwrap().0.contains("outputSchema")
        };
        for unusable in
            ["null", "7", "[]", r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}"##]
        {
            assert!(!left(unusable), "{unusable}");
        }
        for usable in ["{}", r#"{"type":"array"}"#, r##"{"$defs":{"a":{}},"items":{"$ref":"#/$defs/a"}}"##] {
            assert!(left(usable), "{usable}");
        }
    }

    #[test]
    fn what_is_sound_keeps_every_byte_and_is_not_spoken_of() {
        for (kind, text) in [
            (
                ListKind::Tools,
                r#"{"name":"a","inputSchema":{ "type" : "object", "x":1.50},"annotations":{ "readOnlyHint" : true },"icons":[ {"src":"a"} ],"_meta":{ },"execution":{"taskSupport":"optional"},"x":null}"#,
            ),
            (ListKind::Prompts, r#"{"name":"a","arguments":[ {"name":"b","required":true} ]}"#),
            (
                ListKind::Resources,
                r#"{"uri":"a://b","name":"a","size":12.0,"annotations":{"priority":0.50,"audience":["user"]}}"#,
            ),
        ] {
            assert_eq!(shown(kind, text).unwrap(), (text.to_owned(), None));
        }
    }

    #[test]
    fn what_a_typed_client_would_refuse_is_repaired_or_left_out() {
        for (kind, found, expected) in [
            (ListKind::Prompts, r#"{"arguments":null}"#, "{}"),
            (
                ListKind::Prompts,
                r#"{"arguments":["a",{"name":"b","description":null,"required":null},{}]}"#,
                r#"{"arguments":[{"name":"b"}]}"#,
            ),
            (
                ListKind::Resources,
                r#"{"annotations":{"priority":"high","lastModified":"2025-01-01","audience":"user"}}"#,
                r#"{"annotations":{"audience":["user"]}}"#,
            ),
            (
                ListKind::Resources,
                r#"{"size":"12","mimeType":5,"title":[]}"#,
                r#"{"size":12,"mimeType":"5"}"#,
            ),
            (
                ListKind::ResourceTemplates,
                r#"{"_meta":"x","icons":{"src":"a"}}"#,
                r#"{"icons":[{"src":"a"}]}"#,
            ),
        ] {
            let (shown, said) = shown(kind, found).unwrap();
            assert_eq!(shown, expected);
            assert_eq!(said.is_none(), expected == "{}", "null is not spoken of");
        }
    }
}
