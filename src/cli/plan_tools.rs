//! Which tools would clients see differently?

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::catalog::{Catalog, ToolEntry};

/// One tool that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ToolChange {
    /// `added`, `removed`, `renamed`, `schema` or `description`.
    pub(super) change: &'static str,
    /// As clients call it; the new name of one that is renamed.
    pub(super) tool: String,
    /// The old name of one that is renamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<String>,
    /// What its definition costs a model more than before, estimated.
    pub(super) tokens: isize,
}

impl fmt::Display for ToolChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, tool, was, tokens } = self;
        match (*change, was) {
            ("added", _) => write!(f, "+ tool {tool}")?,
            ("removed", _) => write!(f, "- tool {tool}")?,
            (_, Some(was)) => write!(f, "~ tool {was} is called {tool}")?,
            ("schema", None) => write!(f, "~ tool {tool}: another schema")?,
            (_, None) => write!(f, "~ tool {tool}: another description")?,
        }
        write!(f, " ({tokens:+} tokens)")
    }
}

/// What is different in `new`, by name.
pub(super) fn between(old: &Catalog, new: &Catalog) -> Vec<ToolChange> {
    let (before, after) = (by_origin(old), by_origin(new));
    let tokens = |tool: &ToolEntry| tool.tokens.cast_signed();
    let mut changes = Vec::new();
    for (origin, tool) in &after {
        let name = tool.route.qualified.to_string();
        let change = match before.get(origin) {
            None => Some(("added", None, tokens(tool))),
            Some(was) => difference(was, tool).map(|what| {
                let renamed =
                    (was.route.qualified != tool.route.qualified).then(|| was.route.qualified.to_string());
                (what, renamed, tokens(tool) - tokens(was))
            }),
        };
        changes.extend(change.map(|(change, was, tokens)| ToolChange { change, tool: name, was, tokens }));
    }
    let gone = before.iter().filter(|(origin, _)| !after.contains_key(*origin));
    changes.extend(gone.map(|(_, tool)| ToolChange {
        change: "removed",
        tool: tool.route.qualified.to_string(),
        was: None,
        tokens: -tokens(tool),
    }));
    changes.sort_by(|one, other| one.tool.cmp(&other.tool));
    changes
}

fn difference(old: &ToolEntry, new: &ToolEntry) -> Option<&'static str> {
    match () {
        () if old.route.qualified != new.route.qualified => Some("renamed"),
        () if old.input_schema != new.input_schema => Some("schema"),
        () if old.entry.get("outputSchema") != new.entry.get("outputSchema") => Some("schema"),
        () if old.entry != new.entry => Some("description"),
        () => None,
    }
}

/// The tools by backend and the backend's own name.
fn by_origin(catalog: &Catalog) -> BTreeMap<(&str, &str), &ToolEntry> {
    catalog.tools().map(|tool| ((&*tool.route.backend, &*tool.route.local), &**tool)).collect()
}
