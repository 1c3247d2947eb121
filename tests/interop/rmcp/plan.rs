//! What is a client of the matrix told to do, and what does it report?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whom to visit, and what to do there.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    pub(crate) at_once: usize,
    /// Seconds, longer than anything takes that works.
    pub(crate) patience: u64,
    pub(crate) steps: Vec<String>,
    pub(crate) targets: Vec<Target>,
}

/// One server, or the gateway in front of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) transport: String,
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) prefix: String,
    pub(crate) note: String,
    pub(crate) tools: Vec<String>,
    pub(crate) record: String,
}

/// What became of the steps; one without a reason went well.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) revision: Option<String>,
    pub(crate) steps: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}
