//! Is this entry one that every client can read?
//!
//! A client with typed models refuses a whole list for one entry it cannot read, and behind the
//! gateway that would be every backend's list. So every entry is checked against the published
//! schemas ([`entry_schema`]), repaired where its meaning is plain, and otherwise left out.

use super::entry_schema;
use super::repair::Changes;
use super::warning::Problem;
use crate::protocol::{ListKind, Object, RawJson, is_url, lenient_object, param_headers, skills};

/// One entry, checked and, where it had to be, repaired.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) name: String,
    /// What identifies it within its backend: the URI or template, or the name.
    pub(super) key: String,
    /// What was repaired, for people.
    pub(super) repaired: Option<String>,
}

impl Entry {
    pub(super) fn read(kind: ListKind, raw: &RawJson) -> Result<Self, Problem> {
        let mut object = lenient_object(raw).ok_or(Problem::NotAnObject)?;
        let mut changes = Changes::default();
        if matches!(kind, ListKind::Resources | ListKind::ResourceTemplates) {
            add_name(kind, &mut object, &mut changes);
        }
        let name = match kind {
            ListKind::Skills => skill_name(&object)?,
            _ => text(&object, "name")?,
        };
        let key = match key_member(kind) {
            "name" => name.clone(),
            member => text(&object, member)?,
        };
        if kind == ListKind::Resources && !is_url(&key) {
            return Err(Problem::NotAUrl);
        }
        entry_schema::repair(kind, &mut object, &mut changes).map_err(Problem::Malformed)?;
        Ok(Self { object, name, key, repaired: changes.summary() })
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

/// A resource without a name is called by its title or its URI: it is found by the URI anyway.
fn add_name(kind: ListKind, object: &mut Object, changes: &mut Changes) {
    if text(object, "name").is_ok() {
        return;
    }
    let stand_in = text(object, "title").or_else(|_| text(object, key_member(kind)));
    if let Ok(stand_in) = stand_in {
        object.set("name", RawJson::of(&stand_in));
        changes.note("name", "is made of its title or URI");
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(kind: ListKind, text: &str) -> Result<Entry, Problem> {
        Entry::read(kind, &RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap())
    }

    #[test]
    fn an_entry_that_nobody_could_ask_for_is_left_out_and_says_why() {
        let tool = |text: &str| read(ListKind::Tools, text).map(|_| ()).unwrap_err();
        assert_eq!(tool("7"), Problem::NotAnObject);
        assert_eq!(tool(r#"{"inputSchema":{}}"#), Problem::Malformed("name"));
        assert_eq!(tool(r#"{"name":"","inputSchema":{}}"#), Problem::Malformed("name"));
        assert_eq!(tool(r#"{"name":7,"inputSchema":{}}"#), Problem::Malformed("name"));
        assert_eq!(tool(r#"{"name":"a","inputSchema":false}"#), Problem::Malformed("inputSchema"));
        let resource = |text: &str| read(ListKind::Resources, text).map(|_| ()).unwrap_err();
        assert_eq!(resource(r#"{"name":"a"}"#), Problem::Malformed("uri"));
        for no_url in ["docs/readme", "http://", "notes://a b/", "x://h:99999/"] {
            assert_eq!(
                resource(&format!(r#"{{"name":"a","uri":"{no_url}"}}"#)),
                Problem::NotAUrl,
                "{no_url}"
            );
        }
    }

    #[test]
    fn a_null_for_nothing_is_left_out_and_all_else_is_kept() {
        let text =
            r#"{"name":"a","description":null,"inputSchema":{"type":"object","n":1.50},"unknown":null}"#;
        let entry = read(ListKind::Tools, text).unwrap();
        assert_eq!(entry.repaired, None);
        assert_eq!(
            entry.object.to_json().as_str(),
            r#"{"name":"a","inputSchema":{"type":"object","n":1.50},"unknown":null}"#
        );
    }

    #[test]
    fn a_resource_without_a_name_gets_one_and_of_two_values_of_a_key_the_last_counts() {
        let entry = read(ListKind::Resources, r#"{"uri":"a://b","uri":"a://c","name":null}"#).unwrap();
        assert_eq!((entry.key.as_str(), entry.name.as_str()), ("a://c", "a://c"));
        assert!(entry.repaired.is_some());
        let entry = read(ListKind::ResourceTemplates, r#"{"uriTemplate":"a://{b}","title":"T"}"#).unwrap();
        assert_eq!(entry.name, "T");
    }
}
