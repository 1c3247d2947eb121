//! Would a model's API refuse this tool, and every request it is part of?
//!
//! Clients send all tools with each request to the model, and one that the API does not accept makes
//! it refuse the request: every other tool is lost with it.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::names::Namer;
use super::tokens;
use crate::protocol::RawJson;

/// Longest description that no client is known to cut, in bytes.
const LONG_DESCRIPTION: usize = 2048;

/// Deepest nesting of schemas that models still fill in well.
const DEEP: usize = 8;

/// More tokens than this for one tool are worth a look.
const MANY_TOKENS: usize = 2000;

/// Most findings about one tool.
const MAX_FINDINGS: usize = 20;

/// Longest message, in bytes: the names in it are the backend's.
const MAX_MESSAGE: usize = 300;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The tool works, but less well or at a higher price than it could.
    Advice,
    /// A model's API refuses requests that contain this tool.
    Refused,
}

/// One thing to mend in a tool's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, where.
    pub message: String,
}

/// Everything about `tool` that a model's API would choke on; `qualified` is its name towards
/// clients, judged by `namer`.
pub fn lint(tool: &RawJson, qualified: &str, namer: &Namer) -> Vec<Finding> {
    let mut findings = Findings::default();
    findings.name(qualified, namer);
    findings.description(tool);
    match tool.get("inputSchema").and_then(|schema| schema.to::<Value>()) {
        Some(Value::Object(root)) => findings.root(&root),
        _ => findings.refused("`inputSchema` is no object, or nested too deep to be read".to_owned()),
    }
    findings.formats(tool);
    let tokens = tokens::of_tool(tool);
    if tokens > MANY_TOKENS {
        findings.advice(format!("the definition takes about {tokens} tokens of every conversation"));
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn refused(&mut self, message: String) {
        self.add(Severity::Refused, message);
    }

    fn advice(&mut self, message: String) {
        self.add(Severity::Advice, message);
    }

    fn add(&mut self, severity: Severity, mut message: String) {
        if self.0.len() < MAX_FINDINGS {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
            self.0.push(Finding { severity, message });
        }
    }

    fn name(&mut self, qualified: &str, namer: &Namer) {
        if !namer.is_legal(qualified) {
            let longest = namer.longest();
            self.refused(format!("the name must be 1 to {longest} characters of A-Z a-z 0-9 _ -"));
        }
    }

    fn description(&mut self, tool: &RawJson) {
        let description = tool.get("description");
        let text = description.as_ref().and_then(RawJson::string).unwrap_or_default();
        if text.trim().is_empty() {
            self.advice("there is no description: a model cannot know when to use it".to_owned());
        } else if text.len() > LONG_DESCRIPTION {
            self.advice(format!("the description has {} bytes; some clients cut it", text.len()));
        }
    }

    fn formats(&mut self, tool: &RawJson) {
        let unknown = unknown_formats(tool);
        if !unknown.is_empty() {
            let listed = unknown.iter().map(|format| format!("{format:?}")).collect::<Vec<_>>().join(", ");
            self.advice(format!(
                "its schemas have a `format` that JSON Schema does not define: {listed}; some clients warn of each"
            ));
        }
    }

    fn root(&mut self, root: &Map<String, Value>) {
        if root.get("type").and_then(Value::as_str) != Some("object") {
            self.refused("`inputSchema` must have `type: object`".to_owned());
        }
        for keyword in ["oneOf", "anyOf", "allOf"].into_iter().filter(|key| root.contains_key(*key)) {
            self.refused(format!("`inputSchema` has `{keyword}` at the top level"));
        }
        let whole = Value::Object(root.clone());
        let anchors = anchors(&whole);
        let mut deepest = 0;
        walk(&whole, "inputSchema", 1, &mut |schema, path, depth| {
            deepest = deepest.max(depth);
            self.reference(&whole, &anchors, schema, path);
            self.property_names(schema, path, depth == 1);
        });
        if deepest > DEEP {
            self.advice(format!("`inputSchema` nests schemas {deepest} deep"));
        }
    }

    fn reference(
        &mut self,
        whole: &Value,
        anchors: &HashSet<String>,
        schema: &Map<String, Value>,
        path: &str,
    ) {
        let Some(target) = schema.get("$ref").and_then(Value::as_str) else { return };
        let is_there = |fragment: &str| leads(whole, anchors, fragment);
        match target.strip_prefix('#') {
            None => self.refused(format!("`{path}` refers to {target:?}, outside the schema")),
            Some(fragment) if !is_there(fragment) => {
                self.refused(format!("`{path}` refers to {target:?}, which is not there"));
            }
            Some(_) => {}
        }
    }

    fn property_names(&mut self, schema: &Map<String, Value>, path: &str, is_root: bool) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for name in properties.keys().filter(|name| !is_property_name(name)) {
            let message = format!("`{path}` has a property {name:?}; names are 1 to 64 of A-Z a-z 0-9 _ . -");
            if is_root { self.refused(message) } else { self.advice(message) }
        }
    }
}

/// The formats that JSON Schema defines, and those of OpenAPI that validators know too.
const FORMATS: [&str; 28] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uuid",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
    "url",
    "int32",
    "int64",
    "float",
    "double",
    "byte",
    "binary",
    "password",
    "iso-date-time",
];

/// The formats in the tool's schemas that no client knows, such as Rust's `uint32`.
fn unknown_formats(tool: &RawJson) -> BTreeSet<String> {
    let mut unknown = BTreeSet::new();
    for key in ["inputSchema", "outputSchema"] {
        let Some(schema) = tool.get(key).and_then(|schema| schema.to::<Value>()) else { continue };
        walk(&schema, "", 1, &mut |members, _, _| {
            let format = members.get("format").and_then(Value::as_str);
            unknown.extend(format.filter(|format| !FORMATS.contains(format)).map(str::to_owned));
        });
    }
    unknown
}

fn is_property_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(is_legal)
}

/// Whether all references of `schema` within itself lead to something.
pub(super) fn leads_somewhere(schema: &Value) -> bool {
    let (anchors, mut all_lead) = (anchors(schema), true);
    walk(schema, "", 1, &mut |members, _, _| {
        let fragment =
            members.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        all_lead &= fragment.is_none_or(|fragment| leads(schema, &anchors, fragment));
    });
    all_lead
}

fn leads(whole: &Value, anchors: &HashSet<String>, fragment: &str) -> bool {
    whole.pointer(fragment).is_some() || anchors.contains(fragment)
}

/// The names by which references inside `schema` may call parts of it.
fn anchors(schema: &Value) -> HashSet<String> {
    let mut anchors = HashSet::new();
    walk(schema, "", 1, &mut |members, _, _| {
        let names = ["$anchor", "$dynamicAnchor"].map(|keyword| members.get(keyword).and_then(Value::as_str));
        anchors.extend(names.into_iter().flatten().map(str::to_owned));
    });
    anchors
}

/// Visits `schema` and all schemas inside it; a property that is called like a keyword is not one.
fn walk(schema: &Value, path: &str, depth: usize, visit: &mut impl FnMut(&Map<String, Value>, &str, usize)) {
    let Some(members) = schema.as_object() else { return };
    visit(members, path, depth);
    for (keyword, value) in members {
        let path = format!("{path}.{keyword}");
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(named),
            ) => {
                named
                    .iter()
                    .for_each(|(name, inner)| walk(inner, &format!("{path}.{name}"), depth + 1, visit));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(listed)) => {
                listed.iter().for_each(|inner| walk(inner, &path, depth + 1, visit));
            }
            (
                "items"
                | "additionalItems"
                | "additionalProperties"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contains"
                | "propertyNames"
                | "not"
                | "if"
                | "then"
                | "else",
                inner,
            ) => walk(inner, &path, depth + 1, visit),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::CatalogSettings;
    use serde_json::json;

    fn refused(schema: Value) -> Vec<String> {
        let tool = json!({"name": "t", "description": "Does it.", "inputSchema": schema});
        let namer = Namer::new(&CatalogSettings::default());
        let findings = lint(&RawJson::of(&tool), "b__t", &namer);
        findings.into_iter().filter(|f| f.severity == Severity::Refused).map(|f| f.message).collect()
    }

    #[test]
    fn a_sound_tool_has_no_findings() {
        let schema = json!({"type": "object", "properties": {
            "items": {"$comment": "a property called like a keyword", "type": "string"},
            "kind": {"anyOf": [{"$ref": "#/$defs/kind"}, {"type": "null"}, {"$ref": "#here"}]},
        }, "$defs": {"kind": {"type": "string"}, "other": {"$anchor": "here"}}});
        let tool = json!({"name": "t", "description": "Does it.", "inputSchema": schema});
        assert_eq!(lint(&RawJson::of(&tool), "b__t", &Namer::new(&CatalogSettings::default())), []);
    }

    #[test]
    fn what_makes_an_api_refuse_the_request_is_found_where_it_is() {
        assert_eq!(refused(json!({})), ["`inputSchema` must have `type: object`"]);
        for keyword in ["oneOf", "anyOf", "allOf"] {
            let found = refused(json!({"type": "object", keyword: []}));
            assert_eq!(found, [format!("`inputSchema` has `{keyword}` at the top level")]);
        }
        let reference =
            |target| refused(json!({"type": "object", "properties": {"a": {"items": {"$ref": target}}}}));
        assert_eq!(
            reference("#/$defs/x"),
            ["`inputSchema.properties.a.items` refers to \"#/$defs/x\", which is not there"]
        );
        assert_eq!(reference("https://example.com/x").len(), 1);
        assert_eq!(reference("#nowhere").len(), 1);
        assert_eq!(refused(json!({"type": "object", "properties": {"a b": {}, "ok.name-1": {}}})).len(), 1);
    }

    #[test]
    fn formats_that_no_client_knows_get_advice_once_for_a_tool() {
        let tool = json!({"name": "t", "description": "Does it.",
            "inputSchema": {"type": "object", "properties": {
                "a": {"type": "integer", "format": "uint32"}, "b": {"type": "integer", "format": "uint32"},
                "format": {"type": "string", "format": "date"}}},
            "outputSchema": {"type": "object", "properties": {"a": {"items": {"format": "uint"}}}}});
        let findings = lint(&RawJson::of(&tool), "b__t", &Namer::new(&CatalogSettings::default()));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].severity, Severity::Advice);
        assert!(findings[0].message.contains(r#""uint", "uint32""#), "{}", findings[0].message);
    }

    #[test]
    fn a_name_the_client_could_not_send_is_found() {
        let tool = json!({"name": "t", "description": "Does it.", "inputSchema": {"type": "object"}});
        let namer = Namer::new(&CatalogSettings::default());
        for name in ["a.b", "", &"x".repeat(48)] {
            assert_eq!(lint(&RawJson::of(&tool), name, &namer).len(), 1, "{name}");
        }
    }

    #[test]
    fn dear_deep_and_undescribed_tools_get_advice() {
        let nested = (0..10).fold(
            json!({"type": "string"}),
            |inner, _| json!({"type": "object", "properties": {"a": inner}}),
        );
        let tool = json!({"name": "t", "inputSchema": nested});
        let namer = Namer::new(&CatalogSettings::default());
        let findings = lint(&RawJson::of(&tool), "b__t", &namer);
        assert_eq!(findings.len(), 2);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Advice));
        let dear = json!({"name": "t", "description": "x".repeat(10_000), "inputSchema": {"type": "object"}});
        assert_eq!(lint(&RawJson::of(&dear), "b__t", &namer).len(), 2);
    }
}
