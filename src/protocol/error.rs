//! JSON-RPC errors the gateway itself authors, and the codes MCP gives a meaning.

use serde::Serialize;
use serde_json::{Value, json};

use super::RawJson;

/// Error codes with their meaning in JSON-RPC 2.0 or MCP 2026-07-28 (basic/index, error codes).
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// The body is JSON but no JSON-RPC message that is allowed here.
    pub const INVALID_REQUEST: i32 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// Parameters are missing or wrong; also an unknown tool, prompt, resource or cursor.
    pub const INVALID_PARAMS: i32 = -32602;
    /// The gateway failed.
    pub const INTERNAL_ERROR: i32 = -32603;
    /// Resource not found, in legacy revisions.
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// A mirrored HTTP header differs from the body.
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The client did not declare a capability the request needs.
    pub const MISSING_CAPABILITY: i32 = -32021;
    /// The protocol version is not spoken.
    pub const UNSUPPORTED_VERSION: i32 = -32022;
    /// The backend that owns the request could not answer; `data` says which and why. MCP reserves
    /// −32768…−32000, so the gateway's own code lies outside.
    pub const BACKEND_FAILURE: i32 = 1001;
}

/// An error in answer to a request.
#[derive(Debug, Clone, Serialize)]
pub struct RpcError {
    /// See [`code`].
    pub code: i32,
    /// For people: what, where, what to do.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same error with `data`.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The same error with one more member in `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let data = self.data.get_or_insert_with(|| json!({}));
        if let Some(members) = data.as_object_mut() {
            members.insert(key.to_owned(), value.into());
        }
        self
    }

    /// −32700.
    pub fn parse_error(message: impl Into<String>) -> Self {
        Self::new(code::PARSE_ERROR, message)
    }

    /// −32600.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, message)
    }

    /// −32601.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(code::METHOD_NOT_FOUND, format!("method not found: {method}"))
    }

    /// −32602.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    /// −32603.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(code::INTERNAL_ERROR, message)
    }

    /// The error object's text.
    pub fn to_json(&self) -> RawJson {
        RawJson::of(self)
    }
}
