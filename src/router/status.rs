//! What operators see: every backend, its state and its share of the catalog.

use serde::Serialize;

use crate::backend::Snapshot;

use super::router::Router;

/// The router's part of `/status`.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Number of the catalog now served.
    pub catalog_generation: u64,
    /// What an operator should look at.
    pub warnings: Vec<String>,
    /// In the order of the configuration.
    pub backends: Vec<BackendStatus>,
}

/// One backend.
#[derive(Debug, Clone, Serialize)]
pub struct BackendStatus {
    /// How it is.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Whether clients see an older copy of its entries.
    pub stale: bool,
    /// Tools that clients see.
    pub tools: usize,
    /// Prompts that clients see.
    pub prompts: usize,
    /// Resources that clients see.
    pub resources: usize,
    /// Resource templates that clients see.
    pub resource_templates: usize,
    /// Estimated cost of its tools' definitions in a model's context.
    pub tokens: usize,
}

impl Router {
    /// How everything is now.
    pub fn status(&self) -> Status {
        let catalog = self.catalog();
        let fleet = self.fleet();
        let backends = fleet.members().iter().map(|member| {
            let snapshot = member.backend.snapshot();
            let summary = catalog.summaries().find(|(name, _)| *name == snapshot.name);
            let summary = summary.map(|(_, summary)| summary).unwrap_or_default();
            BackendStatus {
                stale: catalog.stale().any(|name| name == snapshot.name),
                tools: summary.tools,
                prompts: summary.prompts,
                resources: summary.resources,
                resource_templates: summary.resource_templates,
                tokens: summary.tokens,
                snapshot,
            }
        });
        let cut = fleet.members().iter().flat_map(|member| {
            let offer = member.backend.offer();
            let cut = offer.map(|offer| offer.cut.clone()).unwrap_or_default();
            cut.into_iter().map(|cut| format!("backend {}, {cut}", member.backend.name()))
        });
        Status {
            catalog_generation: catalog.generation(),
            warnings: catalog.warnings().iter().map(ToString::to_string).chain(cut).collect(),
            backends: backends.collect(),
        }
    }
}
