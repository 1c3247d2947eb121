//! Tasks: what goes on after a call was answered.
//!
//! The modern era has them as an extension, in which the server decides; 2025-11-25 had them in its core, in another form,
//! in which the client decides.

use serde_json::json;

use super::{RawJson, RpcError, code};

/// The extension's name, in the capabilities of clients and of servers.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Whether a client or a server that declared `capabilities` knows the extension.
pub fn are_declared(capabilities: &RawJson) -> bool {
    capabilities.get("extensions").is_some_and(|extensions| extensions.get(EXTENSION).is_some())
}

/// Whether a modern server's answer to a call says that a task goes on with it.
pub fn is_created(result: &RawJson) -> bool {
    result.get("resultType").is_some_and(|kind| kind.string().as_deref() == Some("task"))
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
}
