//! Servers that keep to no letter of the protocol, and that the official SDKs' clients accept.

mod bodies;
mod compressed;
mod cookies;
mod era_probe;
mod lost_sessions;
mod redirects;
mod sse_server;

use serde_json::Value;

use crate::support::{Client, Yard};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"odd","version":"1"}}"#;
const UNKNOWN: &str = r#"{"code":-32601,"message":"method not found"}"#;

/// Calls the one tool of backend `raw`.
async fn call(yard: &Yard) -> Value {
    let answer = Client::modern(&yard.url).call("raw__echo", "{}").await;
    assert!(answer.result.is_some(), "{answer:?}");
    let result = answer.result_value();
    assert_ne!(result["isError"], true, "{result}");
    result
}

/// Why backend `raw` is not connected.
fn reason(yard: &Yard) -> String {
    let snapshot = yard.backend("raw").snapshot;
    assert_ne!(snapshot.state, "ready");
    format!("{:?}", snapshot.last_error)
}
