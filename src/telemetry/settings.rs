//! What an operator can set about logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logs, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Least level to write.
    pub level: LogLevel,
    /// Lines for people or for machines.
    pub format: LogFormat,
}

/// Least level to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures of the gateway itself.
    Error,
    /// What an operator should look at.
    Warn,
    /// State changes.
    #[default]
    Info,
    /// One line a call.
    Debug,
    /// Everything but payloads.
    Trace,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
