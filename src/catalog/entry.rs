//! Is this entry one that every client can read?
//!
//! A client with typed models refuses a whole list for one entry it cannot read, and behind the
//! gateway that would be every backend's list. So what the specification requires is checked, entry
//! by entry (MCP 2025-11-25, schema `Tool`, `Prompt`, `Resource`, `ResourceTemplate`).

use super::warning::Problem;
use crate::protocol::{ListKind, Object, RawJson, param_headers, skills};

/// One entry, checked and still as it was spelt.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) name: String,
    /// What identifies it within its backend: the URI or template, or the name.
    pub(super) key: String,
}

impl Entry {
    pub(super) fn read(kind: ListKind, raw: &RawJson) -> Result<Self, Problem> {
        let mut object = Object::parse(raw).ok_or(Problem::NotAnObject)?;
        let name = match kind {
            ListKind::Skills => skill_name(&object)?,
            _ => text(&object, "name")?,
        };
        let key = match key_member(kind) {
            "name" => name.clone(),
            member => text(&object, member)?,
        };
        check_schema(kind, &object)?;
        for (member, is_right) in OPTIONAL {
            check_optional(&mut object, member, *is_right)?;
        }
        Ok(Self { object, name, key })
    }

    /// Checks which of a tool's arguments headers repeat. Over HTTP a tool that says so in a way nobody can
    /// follow must not be shown; over any other transport nothing depends on it, and it is shown without
    /// (MCP 2026-07-28, server/tools, `x-mcp-header`).
    ///
    /// # Errors
    /// Why it is not shown; otherwise returns what was done about it.
    pub(super) fn settle_param_headers(&mut self, over_http: bool) -> Result<Option<Problem>, Problem> {
        let Some(schema) = self.object.get("inputSchema") else { return Ok(None) };
        let Err(reason) = param_headers::read(schema) else { return Ok(None) };
        let without = param_headers::strip(schema).filter(|_| !over_http);
        let Some(without) = without else { return Err(Problem::ParamHeaders { reason, is_shown: false }) };
        self.object.set("inputSchema", without);
        Ok(Some(Problem::ParamHeaders { reason, is_shown: true }))
    }

    /// What `expose` and `hide` are compared with.
    pub(super) fn keys(&self) -> [&str; 2] {
        [&self.key, &self.name]
    }
}

/// The member by which clients ask for an entry of `kind`.
pub(super) fn key_member(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools | ListKind::Prompts => "name",
        ListKind::Resources | ListKind::Skills => "uri",
        ListKind::ResourceTemplates => "uriTemplate",
    }
}

type IsRight = fn(&RawJson) -> bool;

/// Optional members and what they must be when present.
const OPTIONAL: &[(&str, IsRight)] = &[
    ("title", is_string),
    ("description", is_string),
    ("mimeType", is_string),
    ("annotations", RawJson::is_object),
    ("_meta", RawJson::is_object),
    ("outputSchema", |_| true),
    ("icons", |_| true),
    ("size", |_| true),
];

/// `null` for "none" is common, and typed clients refuse it: the member is left out instead.
fn check_optional(object: &mut Object, member: &'static str, is_right: IsRight) -> Result<(), Problem> {
    let Some(value) = object.get(member) else { return Ok(()) };
    if value.is_null() {
        object.remove(member);
    } else if !is_right(value) {
        return Err(Problem::Malformed(member));
    }
    Ok(())
}

fn check_schema(kind: ListKind, object: &Object) -> Result<(), Problem> {
    let is_tool = kind == ListKind::Tools;
    if is_tool && !object.get("inputSchema").is_some_and(RawJson::is_object) {
        return Err(Problem::Malformed("inputSchema"));
    }
    Ok(())
}

/// The name in a skill's front matter, once the skill is found to be one that can be read.
fn skill_name(skill: &Object) -> Result<String, Problem> {
    skills::root(&text(skill, "uri")?).ok_or(Problem::Malformed("uri"))?;
    let is_known = |files: &RawJson| files.is_array() || files.string().as_deref() == Some("dynamic");
    if !skill.get("resources").is_some_and(is_known) {
        return Err(Problem::Malformed("resources"));
    }
    let name = skill.get("frontmatter").and_then(|matter| matter.get("name"));
    let name = name.and_then(|name| name.string().map(String::from));
    name.filter(|name| !name.is_empty()).ok_or(Problem::Malformed("frontmatter"))
}

fn text(object: &Object, member: &'static str) -> Result<String, Problem> {
    let text = object.get(member).and_then(RawJson::string).filter(|text| !text.is_empty());
    text.map(|text| text.into_owned()).ok_or(Problem::Malformed(member))
}

fn is_string(value: &RawJson) -> bool {
    value.string().is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(kind: ListKind, text: &str) -> Result<Entry, Problem> {
        Entry::read(kind, &RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap())
    }

    #[test]
    fn what_typed_clients_would_refuse_is_refused_with_the_member_that_is_wrong() {
        let tool = |text| read(ListKind::Tools, text).map(|_| ()).unwrap_err();
        assert_eq!(tool("7"), Problem::NotAnObject);
        assert_eq!(tool(r#"{"name":"a","name":"b","inputSchema":{}}"#), Problem::NotAnObject);
        assert_eq!(tool(r#"{"inputSchema":{}}"#), Problem::Malformed("name"));
        assert_eq!(tool(r#"{"name":"","inputSchema":{}}"#), Problem::Malformed("name"));
        assert_eq!(tool(r#"{"name":"a","inputSchema":true}"#), Problem::Malformed("inputSchema"));
        assert_eq!(
            tool(r#"{"name":"a","description":[],"inputSchema":{}}"#),
            Problem::Malformed("description")
        );
        let resource = read(ListKind::Resources, r#"{"name":"a"}"#).map(|_| ()).unwrap_err();
        assert_eq!(resource, Problem::Malformed("uri"));
    }

    #[test]
    fn a_null_for_nothing_is_left_out_and_all_else_is_kept() {
        let text = r#"{"name":"a","description":null,"inputSchema":{"n":1.50},"unknown":null}"#;
        let entry = read(ListKind::Tools, text).unwrap();
        assert_eq!(
            entry.object.to_json().as_str(),
            r#"{"name":"a","inputSchema":{"n":1.50},"unknown":null}"#
        );
    }
}
