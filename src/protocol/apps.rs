//! Apps: tools with a user interface of their server's (MCP Apps, extension of 2026-01-26).

use super::RawJson;

/// The extension's name, in the capabilities of clients.
pub const EXTENSION: &str = "io.modelcontextprotocol/ui";

/// Whether a client that declared `capabilities` shows user interfaces.
pub fn are_declared(capabilities: &RawJson) -> bool {
    capabilities.get("extensions").is_some_and(|extensions| extensions.get(EXTENSION).is_some())
}
