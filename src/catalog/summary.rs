//! How much of the catalog is one backend's?

use crate::protocol::ListKind;

/// How much of the catalog is one backend's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackendSummary {
    /// Tools clients see.
    pub tools: usize,
    /// Prompts clients see.
    pub prompts: usize,
    /// Resources clients see.
    pub resources: usize,
    /// Resource templates clients see.
    pub resource_templates: usize,
    /// Skills clients see.
    pub skills: usize,
    /// What the tools' definitions cost a model, estimated as [`tokens_of_tool`](super::tokens_of_tool) does.
    pub tokens: usize,
}

impl BackendSummary {
    pub(super) fn count(&mut self, kind: ListKind) {
        let counter = match kind {
            ListKind::Tools => &mut self.tools,
            ListKind::Prompts => &mut self.prompts,
            ListKind::Resources => &mut self.resources,
            ListKind::ResourceTemplates => &mut self.resource_templates,
            ListKind::Skills => &mut self.skills,
        };
        *counter += 1;
    }
}
