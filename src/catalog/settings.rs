//! What an operator can set about what clients see.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units;

/// The catalog as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogSettings {
    /// Longest tool name a model's API accepts, with the client's own prefix counted.
    #[schemars(range(min = 32, max = 256))]
    pub name_limit: usize,
    /// What the client itself puts in front of each name; Claude Code writes `mcp__<server>__`.
    pub client_prefix: String,
    /// Entries on one page of a list.
    #[schemars(range(min = 1, max = 100_000))]
    pub page_size: usize,
    /// How often each backend's lists are fetched again without being asked to.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub refresh: Duration,
    /// How long the first lists and handshakes after a start wait, all together, for backends that were never
    /// reached before and of which no copy is kept. Zero for not at all.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationOrZeroText")]
    pub first_list_wait: Duration,
}

impl Default for CatalogSettings {
    fn default() -> Self {
        Self {
            name_limit: 64,
            client_prefix: "mcp__switchyard__".to_owned(),
            page_size: 1000,
            refresh: Duration::from_secs(300),
            first_list_wait: Duration::from_secs(2),
        }
    }
}

/// How one backend's entries appear in the catalog.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExposureSettings {
    /// The backend's name.
    pub backend: String,
    /// Put in front of each name with `__` between; empty for none.
    pub prefix: String,
    /// Globs over local names (for resources: names or URIs) that clients see; empty means all. They
    /// hold for all four lists: what no glob names is not seen.
    pub expose: Vec<String>,
    /// Globs over local names (for resources: names or URIs) that clients do not see; wins over `expose`.
    pub hide: Vec<String>,
    /// Local name of a tool or prompt → the name to show, still behind the prefix.
    pub rename: BTreeMap<String, String>,
    /// Local tool name → the description to show.
    pub description: BTreeMap<String, String>,
    /// Check a call's arguments against the tool's schema before the backend sees them.
    pub validate_arguments: bool,
    /// Globs over local tool names that other settings are for; one that fits nothing is warned of.
    pub tools: Vec<String>,
}
