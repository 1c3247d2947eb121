//! What did one backend offer?

use serde::{Deserialize, Serialize};

use crate::protocol::{ListKind, RawJson};

/// Everything one backend lists, as it sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// Answer of `tools/list`, all pages.
    pub tools: Vec<RawJson>,
    /// Answer of `prompts/list`, all pages.
    pub prompts: Vec<RawJson>,
    /// Answer of `resources/list`, all pages.
    pub resources: Vec<RawJson>,
    /// Answer of `resources/templates/list`, all pages.
    pub resource_templates: Vec<RawJson>,
    /// Answer of `skills/list`, all pages.
    pub skills: Vec<RawJson>,
    /// What the backend tells a model about itself.
    pub instructions: Option<String>,
    /// The capabilities it declared.
    pub capabilities: Option<RawJson>,
}

impl Listing {
    /// The entries of one list, in the backend's order.
    pub fn get(&self, kind: ListKind) -> &[RawJson] {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Prompts => &self.prompts,
            ListKind::Resources => &self.resources,
            ListKind::ResourceTemplates => &self.resource_templates,
            ListKind::Skills => &self.skills,
        }
    }

    /// Replaces the entries of one list.
    pub fn set(&mut self, kind: ListKind, entries: Vec<RawJson>) {
        match kind {
            ListKind::Tools => self.tools = entries,
            ListKind::Prompts => self.prompts = entries,
            ListKind::Resources => self.resources = entries,
            ListKind::ResourceTemplates => self.resource_templates = entries,
            ListKind::Skills => self.skills = entries,
        }
    }
}
