//! What does a client get to see of a tool that its revision, or itself, cannot use whole?

use crate::protocol::{Era, Object, RawJson};

/// What the readers of a list have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    /// The era they speak: a legacy client knows no schema that is not an object's.
    pub era: Era,
    /// Whether they show the user interfaces of tools (MCP Apps).
    pub shows_apps: bool,
}

/// How a tool is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    AsItIs,
    Changed(RawJson),
    NotAtAll,
}

impl Audience {
    /// Kinds of audience there are.
    pub(super) const COUNT: usize = 4;

    /// Everything, as it is.
    pub const ALL: Self = Self { era: Era::Modern, shows_apps: true };

    /// A number below [`Self::COUNT`].
    pub(super) fn index(self) -> usize {
        usize::from(self.era == Era::Legacy) + 2 * usize::from(self.shows_apps)
    }

    /// How these readers see `tool`.
    pub(super) fn show(self, tool: &RawJson) -> Shown {
        if !self.shows_apps && is_for_apps_only(tool) {
            return Shown::NotAtAll;
        }
        match self.era {
            Era::Modern => Shown::AsItIs,
            Era::Legacy => legacy(tool).map_or(Shown::AsItIs, Shown::Changed),
        }
    }
}

/// A tool that only a user interface of its own server calls (MCP Apps, `_meta.ui.visibility`).
fn is_for_apps_only(tool: &RawJson) -> bool {
    let visibility = tool.get("_meta").and_then(|meta| meta.get("ui")).and_then(|ui| ui.get("visibility"));
    let Some(visibility) = visibility else { return false };
    let named = visibility.elements();
    !named.is_empty() && named.iter().all(|who| who.string().as_deref() == Some("app"))
}

/// `tool` without what came with MCP 2026-07-28 (server/tools): an output schema of anything but an object goes,
/// and `true` for the schema of a property is spelt out. `None` where there is nothing to change.
fn legacy(tool: &RawJson) -> Option<RawJson> {
    let mut changed = Object::parse(tool)?;
    let mut is_changed = false;
    if let Some(schema) = tool.get("outputSchema") {
        let is_object = schema.get("type").is_some_and(|kind| kind.string().as_deref() == Some("object"));
        if !is_object {
            changed.remove("outputSchema");
            is_changed = true;
        }
    }
    for key in ["inputSchema", "outputSchema"] {
        if let Some(spelt) = changed.get(key).and_then(spelt_out) {
            changed.set(key, spelt);
            is_changed = true;
        }
    }
    is_changed.then(|| changed.to_json())
}

/// `schema` with the boolean schemas of its properties as objects.
fn spelt_out(schema: &RawJson) -> Option<RawJson> {
    let mut properties = Object::parse(&schema.get("properties")?)?;
    let spelt = |value: &RawJson| match value.as_str() {
        "true" => Some("{}"),
        "false" => Some(r#"{"not":{}}"#),
        _ => None,
    };
    let booleans: Vec<_> =
        properties.members().filter_map(|(name, value)| Some((name.into_owned(), spelt(value)?))).collect();
    if booleans.is_empty() {
        return None;
    }
    for (name, value) in booleans {
        properties.set(&name, RawJson::parse(value.into()).ok()?);
    }
    let mut schema = Object::parse(schema)?;
    schema.set("properties", properties.to_json());
    Some(schema.to_json())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OLD: Audience = Audience { era: Era::Legacy, shows_apps: false };

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    #[test]
    fn an_old_client_gets_no_output_schema_but_an_objects_and_every_other_byte() {
        let tool = raw(r#"{ "name":"t","outputSchema":{"type":"array"},"x":1.0}"#);
        let Shown::Changed(shown) = OLD.show(&tool) else { unreachable!("it has to be changed") };
        assert!(shown.get("outputSchema").is_none());
        assert_eq!(shown.get("x").unwrap().as_str(), "1.0");
        assert_eq!(OLD.show(&raw(r#"{"name":"t","outputSchema":{"type":"object"}}"#)), Shown::AsItIs);
        assert_eq!(Audience::ALL.show(&tool), Shown::AsItIs);
    }

    #[test]
    fn a_boolean_for_a_schema_is_spelt_out_for_an_old_client() {
        let tool = raw(
            r#"{"inputSchema":{"type":"object","properties":{"a":true,"b":{"type":"string"},"c":false}}}"#,
        );
        let Shown::Changed(shown) = OLD.show(&tool) else { unreachable!("it has to be changed") };
        let properties = shown.get("inputSchema").unwrap().get("properties").unwrap();
        assert_eq!(properties.as_str(), r#"{"a":{},"b":{"type":"string"},"c":{"not":{}}}"#);
    }

    #[test]
    fn a_tool_for_user_interfaces_is_seen_by_clients_that_show_them() {
        let tool = raw(r#"{"name":"t","_meta":{"ui":{"visibility":["app"]}}}"#);
        let both = raw(r#"{"name":"t","_meta":{"ui":{"visibility":["model","app"]}}}"#);
        assert_eq!(OLD.show(&tool), Shown::NotAtAll);
        assert_eq!(Audience { shows_apps: true, ..OLD }.show(&tool), Shown::AsItIs);
        assert_eq!((OLD.show(&both), OLD.show(&raw("{}"))), (Shown::AsItIs, Shown::AsItIs));
    }
}
