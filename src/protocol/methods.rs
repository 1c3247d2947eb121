//! Method names, and what kind of request each one is to a gateway.

use super::Era;

/// Names on the wire.
#[allow(missing_docs)]
pub mod name {
    pub const INITIALIZE: &str = "initialize";
    pub const INITIALIZED: &str = "notifications/initialized";
    pub const PING: &str = "ping";
    pub const DISCOVER: &str = "server/discover";
    pub const LISTEN: &str = "subscriptions/listen";
    pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    pub const SET_LEVEL: &str = "logging/setLevel";
    pub const SUBSCRIBE: &str = "resources/subscribe";
    pub const UNSUBSCRIBE: &str = "resources/unsubscribe";
    pub const CANCELLED: &str = "notifications/cancelled";
    pub const PROGRESS: &str = "notifications/progress";
    pub const MESSAGE: &str = "notifications/message";
    pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
    pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
    pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
    pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";
    pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
    pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
    pub const TASK_CHANGED: &str = "notifications/tasks";
}

/// One of the lists a server keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
    /// `skills/list`, of the extension
    Skills,
}

impl ListKind {
    /// All of them.
    pub const ALL: [ListKind; 5] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::ResourceTemplates, Self::Skills];

    /// The method that lists it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
            Self::Skills => "skills/list",
        }
    }

    /// The member of the result that holds the entries.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Skills => "skills",
        }
    }

    /// The notification that says it changed; skills are resources, and have none of their own.
    pub fn changed(self) -> &'static str {
        match self {
            Self::Tools => name::TOOLS_CHANGED,
            Self::Prompts => name::PROMPTS_CHANGED,
            Self::Resources | Self::ResourceTemplates | Self::Skills => name::RESOURCES_CHANGED,
        }
    }

    /// The list that `method` asks for from a client of `era`.
    pub fn of(method: &str, era: Era) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|kind| kind.method() == method);
        named.filter(|kind| era == Era::Modern || *kind != Self::Skills)
    }
}

/// A request that belongs to one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Routed {
    /// `tools/call`
    CallTool,
    /// `prompts/get`
    GetPrompt,
    /// `resources/read`
    ReadResource,
    /// `completion/complete`
    Complete,
    /// `skills/get`, of the extension for skills
    GetSkill,
    /// `resources/directory/read`, of the extension for skills
    ReadDirectory,
    /// `tasks/get`, of the extension
    GetTask,
    /// `tasks/update`, of the extension
    UpdateTask,
    /// `tasks/cancel`, of the extension
    CancelTask,
    /// A request of no specification, passed on under the name that its client gave it
    Vendor,
}

impl Routed {
    /// All that a specification names.
    pub const ALL: [Routed; 9] = [
        Self::CallTool,
        Self::GetPrompt,
        Self::ReadResource,
        Self::Complete,
        Self::GetSkill,
        Self::ReadDirectory,
        Self::GetTask,
        Self::UpdateTask,
        Self::CancelTask,
    ];

    /// Its name on the wire; for a vendor's, the one name under which all of them are counted.
    pub fn method(self) -> &'static str {
        match self {
            Self::CallTool => "tools/call",
            Self::GetPrompt => "prompts/get",
            Self::ReadResource => "resources/read",
            Self::Complete => "completion/complete",
            Self::GetSkill => "skills/get",
            Self::ReadDirectory => "resources/directory/read",
            Self::GetTask => "tasks/get",
            Self::UpdateTask => "tasks/update",
            Self::CancelTask => "tasks/cancel",
            Self::Vendor => "vendor",
        }
    }

    /// The request that `method` names to a client of `era`.
    pub fn of(method: &str, era: Era) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|routed| routed.method() == method);
        named.filter(|routed| era == Era::Modern || !(routed.is_about_a_task() || routed.is_about_a_skill()))
    }

    /// Whether it is of the extension for skills, which only the modern era has.
    pub fn is_about_a_skill(self) -> bool {
        matches!(self, Self::GetSkill | Self::ReadDirectory)
    }

    /// Whether it is about a task that an earlier call made; the gateway shows tasks to modern clients only.
    pub fn is_about_a_task(self) -> bool {
        matches!(self, Self::GetTask | Self::UpdateTask | Self::CancelTask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_known_to_modern_clients_and_only_by_the_methods_of_the_extension() {
        assert_eq!(Routed::of("tasks/get", Era::Modern), Some(Routed::GetTask));
        assert_eq!(Routed::of("tasks/get", Era::Legacy), None);
        assert_eq!(Routed::of("tools/call", Era::Legacy), Some(Routed::CallTool));
        assert_eq!(Routed::of("tasks/result", Era::Modern), None);
        assert_eq!(Routed::of("tasks/list", Era::Modern), None);
    }
}
