//! How a call is answered that no backend answered: with something a model or a program can act on.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::backend::Failure;
use crate::protocol::{RawJson, Routed, RpcError, code};
use crate::telemetry::Outcome;

use super::request::Inbound;

/// The stable body of every failure on the gateway's side of a call.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CallFailure {
    /// `tool_timeout`, `backend_unavailable`, `not_connected`, `circuit_open`, `backend_busy`,
    /// `backend_lost`, `invalid_arguments` or `tool_error`.
    error: &'static str,
    /// The qualified name or URI that was called.
    #[serde(rename = "tool")]
    name: String,
    backend: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    request_id: String,
    #[serde(skip)]
    outcome: Outcome,
    /// The message without anything that may repeat what the client sent.
    #[serde(skip)]
    logged: String,
}

impl CallFailure {
    /// The backend did not answer.
    pub(super) fn of_backend(failure: &Failure, inbound: &Inbound, name: &str, backend: &str) -> Self {
        Self {
            error: failure.error(),
            name: name.to_owned(),
            backend: backend.to_owned(),
            message: failure.to_string(),
            retry_after_ms: failure.retry_after.map(millis),
            request_id: inbound.caller.request_id.to_string(),
            outcome: failure.outcome(),
            logged: failure.unquoted().to_owned(),
        }
    }

    /// The arguments do not fit the tool's schema; the backend never saw them.
    pub(super) fn of_arguments(problems: &[String], inbound: &Inbound, name: &str, backend: &str) -> Self {
        Self {
            error: "invalid_arguments",
            name: name.to_owned(),
            backend: backend.to_owned(),
            message: format!("the arguments do not fit the tool's schema: {}", problems.join("; ")),
            retry_after_ms: None,
            request_id: inbound.caller.request_id.to_string(),
            outcome: Outcome::Rejected,
            logged: "the arguments do not fit the tool's schema".to_owned(),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    pub(super) fn error(&self) -> &'static str {
        self.error
    }

    /// The reason, for the log.
    pub(super) fn logged(&self) -> &str {
        &self.logged
    }

    /// Towards a model a failed tool call is a result it can read; any other request is answered with
    /// an error (MCP 2025-11-25, server/tools, error handling).
    pub(super) fn into_answer(self, routed: Routed) -> Result<RawJson, RawJson> {
        match routed {
            Routed::CallTool => Ok(self.tool_result()),
            _ => Err(self.error_value()),
        }
    }

    /// The failure as an error, as what is not known to exist is answered.
    pub(super) fn error_value(&self) -> RawJson {
        let error = RpcError::new(code::BACKEND_FAILURE, format!("{}: {}", self.backend, self.message));
        error.with_data(json!(self)).to_json()
    }

    /// The body stands in a text block, which every client shows its model, and in `_meta` for
    /// programs; not in `structuredContent`, which would have to match the tool's own output schema.
    fn tool_result(&self) -> RawJson {
        let text = RawJson::of(self);
        RawJson::of(&json!({
            "content": [{ "type": "text", "text": text.as_str() }],
            "isError": true,
            "_meta": { "switchyard/error": self },
        }))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
