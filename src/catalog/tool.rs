//! What does the gateway know about one tool?

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::arguments::Checker;
use super::route::{Item, Route};
use super::tokens;
use crate::protocol::tasks::Support;
use crate::protocol::{ParamHeader, RawJson, param_headers};

/// One tool as clients see it.
pub struct ToolEntry {
    /// Where a call of it goes.
    pub route: Route,
    /// The entry of `tools/list`.
    pub entry: RawJson,
    /// Its `inputSchema`.
    pub input_schema: RawJson,
    /// The arguments that headers repeat.
    pub param_headers: Arc<[ParamHeader]>,
    /// Whether the operator wants arguments checked before the backend sees them.
    pub validate: bool,
    /// Whether it runs as a task; only a backend of 2025-11-25 has a say.
    pub task_support: Support,
    /// What its definition costs a model, estimated (bytes of name, description and schema / 4).
    pub tokens: usize,
    /// Compiled at the first check; `None` inside when the schema cannot be compiled.
    pub(super) checker: OnceLock<Option<Checker>>,
}

impl ToolEntry {
    pub(super) fn new(item: &Item, validate: bool, task_support: Support) -> Arc<Self> {
        let input_schema = item.entry.get("inputSchema").unwrap_or_else(RawJson::empty_object);
        Arc::new(Self {
            route: item.route.clone(),
            tokens: tokens::of_tool(&item.entry),
            entry: item.entry.clone(),
            param_headers: param_headers::read(&input_schema).unwrap_or_default().into(),
            input_schema,
            validate,
            task_support,
            checker: OnceLock::new(),
        })
    }

    /// A tool that is in no list: nothing but its name is known.
    pub fn unlisted(route: Route) -> Arc<Self> {
        let entry = json!({ "name": &*route.local, "inputSchema": { "type": "object" } });
        Self::new(&Item { entry: RawJson::of(&entry), route }, false, Support::Forbidden)
    }
}

impl fmt::Debug for ToolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolEntry").field("route", &self.route).finish_non_exhaustive()
    }
}
