//! Tasks: what goes on after a call was answered.
//!
//! The modern era has them as an extension, in which the server decides; 2025-11-25 had them in its core, in another form,
//! in which the client decides.

use std::time::Duration;

use serde_json::json;

use super::{Object, RawJson, Revision, RpcError, code, meta_key};

/// The extension's name, in the capabilities of clients and of servers.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Whether a client or a server that declared `capabilities` knows the extension.
pub fn are_declared(capabilities: &RawJson) -> bool {
    capabilities.get("extensions").is_some_and(|extensions| extensions.get(EXTENSION).is_some())
}

/// Whether a server of `revision` that declared `capabilities` takes tool calls that are to run as tasks
/// (MCP 2025-11-25, basic/utilities/tasks, capabilities).
pub fn are_taken(revision: Revision, capabilities: &RawJson) -> bool {
    let requests = capabilities.get("tasks").and_then(|tasks| tasks.get("requests"));
    let calls = requests.and_then(|requests| requests.get("tools")).and_then(|tools| tools.get("call"));
    revision == Revision::V2025_11_25 && calls.is_some()
}

/// What a tool of 2025-11-25 says of running as a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Never.
    Forbidden,
    /// If the client wants it to.
    Optional,
    /// Always.
    Required,
}

impl Support {
    /// What `taskSupport` says.
    pub fn read(text: &RawJson) -> Self {
        match text.string().as_deref() {
            Some("required") => Self::Required,
            Some("optional") => Self::Optional,
            _ => Self::Forbidden,
        }
    }
}

/// Where a task stands, in either form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It goes on.
    Working,
    /// It waits for its client.
    InputRequired,
    /// It ended, one way or the other, and there is something to fetch.
    Ended,
    /// It was cancelled: there is nothing to fetch.
    Cancelled,
}

impl Status {
    /// What `task` says; `None` if that is nothing known.
    pub fn of(task: &RawJson) -> Option<Self> {
        Some(match &*task.get("status")?.string()? {
            "working" => Self::Working,
            "input_required" => Self::InputRequired,
            "completed" | "failed" => Self::Ended,
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }
}

/// Whether a modern server's answer to a call says that a task goes on with it.
pub fn is_created(result: &RawJson) -> bool {
    result.get("resultType").is_some_and(|kind| kind.string().as_deref() == Some("task"))
}

/// The task that a server of 2025-11-25 made of a call, by its answer.
pub fn created(result: &RawJson) -> Option<RawJson> {
    let task = result.get("task")?;
    task.get("taskId")?.string()?;
    Some(task)
}

/// How long `task`, in either form, asks its client to wait before it asks again.
pub fn poll_interval(task: &RawJson) -> Option<Duration> {
    let interval = task.get("pollInterval").or_else(|| task.get("pollIntervalMs"))?;
    Duration::try_from_secs_f64(interval.to::<f64>()? / 1000.0).ok()
}

/// `capabilities` with the extension declared, and no other.
pub fn declared_beside(capabilities: &RawJson) -> RawJson {
    let mut declared = Object::parse(capabilities).unwrap_or_default();
    declared.set("extensions", RawJson::of(&json!({ EXTENSION: {} })));
    declared.to_json()
}

/// Whether a modern server refused a call because its client did not declare the extension.
pub fn are_missing(error: &RawJson) -> bool {
    let is_missing = error.get("code").and_then(|code| code.to()) == Some(code::MISSING_CAPABILITY);
    let required = error.get("data").and_then(|data| data.get("requiredCapabilities"));
    is_missing && required.is_some_and(|required| are_declared(&required))
}

/// The parameters of a request about the task `id`.
pub fn of_task(id: &RawJson) -> Object {
    let mut params = Object::new();
    params.set("taskId", id.clone());
    params
}

/// `holder` without the word in its `_meta` that ties it to a task of 2025-11-25.
pub fn untied(holder: RawJson) -> RawJson {
    let meta = holder.get("_meta").filter(|meta| meta.get(meta_key::RELATED_TASK).is_some());
    let parts = meta.and_then(|meta| Object::parse(&meta).zip(Object::parse(&holder)));
    let Some((mut meta, mut object)) = parts else { return holder };
    meta.remove(meta_key::RELATED_TASK);
    if meta.is_empty() {
        object.remove("_meta");
    } else {
        object.set("_meta", meta.to_json());
    }
    object.to_json()
}

/// `result` with that word: a client's answer to what a task asked must have it.
pub fn tied(result: &RawJson, id: &RawJson) -> RawJson {
    let Some(mut object) = Object::parse(result) else { return result.clone() };
    let mut meta = object.get("_meta").and_then(Object::parse).unwrap_or_default();
    meta.set(meta_key::RELATED_TASK, of_task(id).to_json());
    object.set("_meta", meta.to_json());
    object.to_json()
}

/// The error for a client that asks about tasks without having declared the extension.
pub fn not_declared() -> RpcError {
    let required = json!({ "requiredCapabilities": { "extensions": { EXTENSION: {} } } });
    let message = format!("declare the extension `{EXTENSION}` with each request about a task");
    RpcError::new(code::MISSING_CAPABILITY, message).with_data(required)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(text: &'static str) -> RawJson {
        RawJson::parse(text.into()).unwrap()
    }

    #[test]
    fn the_extension_counts_where_extensions_are_declared() {
        assert!(are_declared(&raw(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#)));
        assert!(!are_declared(&raw(r#"{"extensions":{"com.example/tasks":{}},"tasks":{}}"#)));
        assert!(is_created(&raw(r#"{"resultType":"task"}"#)) && !is_created(&raw(r#"{"content":[]}"#)));
    }

    #[test]
    fn the_core_of_2025_counts_in_its_revision_and_for_tool_calls_only() {
        let calls = raw(r#"{"tasks":{"list":{},"requests":{"tools":{"call":{}}}}}"#);
        assert!(are_taken(Revision::V2025_11_25, &calls));
        assert!(!are_taken(Revision::V2025_06_18, &calls));
        assert!(!are_taken(Revision::V2025_11_25, &raw(r#"{"tasks":{"list":{}}}"#)));
        assert!(created(&raw(r#"{"task":{"taskId":"1"}}"#)).is_some());
        assert!(created(&raw(r#"{"task":{"taskId":1}}"#)).is_none() && created(&raw("{}")).is_none());
    }

    #[test]
    fn what_ties_a_message_to_a_task_comes_and_goes_alone() {
        let bare = raw(r#"{"action":"accept","_meta":{"com.example/x":1.0}}"#);
        let tied = tied(&bare, &raw("\"t\\u0031\""));
        assert!(tied.as_str().ends_with(r#""io.modelcontextprotocol/related-task":{"taskId":"t\u0031"}}}"#));
        assert_eq!(untied(tied), bare);
        let text = r#"{ "content" : [] }"#;
        assert_eq!(untied(super::tied(&raw(text), &raw("\"1\""))).as_str(), r#"{"content":[]}"#);
        assert_eq!(untied(raw(text)).as_str(), text);
    }
}
