//! When the catalog changes: what backends offer is merged anew, clients are told if what they see
//! is different, and the result is kept on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::backend::{Offer, TransportSettings};
use crate::catalog::{Catalog, CatalogSettings, KeptListing, Source, save};
use crate::protocol::{ListKind, Routed};
use crate::telemetry::backends::{self, Entries};
use crate::telemetry::process;
use crate::telemetry::{CallMetrics, LogLimit};

use super::fleet::Fleet;
use super::router::Router;

/// Backends that come up together are merged once.
const DEBOUNCE: Duration = Duration::from_millis(30);

const WARNING_LINES: LogLimit = LogLimit::new("warnings about the catalog", 100);
const KEEP_LINES: LogLimit = LogLimit::new("the catalog could not be kept", 1);
/// Tools of one backend whose series are there before their first call: each has one for every outcome.
const SHOWN_TOOLS: usize = 256;

/// How often each list changed in what clients see.
pub(super) type Counters = BTreeMap<ListKind, u64>;

/// Tells a client when what it sees has changed. Changes that come together are told once.
pub struct Changes {
    counters: watch::Receiver<Counters>,
    seen: Counters,
}

impl Changes {
    pub(super) fn new(mut counters: watch::Receiver<Counters>) -> Self {
        let seen = counters.borrow_and_update().clone();
        Self { counters, seen }
    }

    /// The notifications to send, each once; `None` when the gateway stops. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<&'static str>> {
        loop {
            self.counters.changed().await.ok()?;
            let now = self.counters.borrow_and_update().clone();
            let changed: BTreeSet<&'static str> = now
                .iter()
                .filter(|(kind, count)| self.seen.get(kind) != Some(count))
                .map(|(kind, _)| kind.changed())
                .collect();
            self.seen = now;
            if !changed.is_empty() {
                return Some(changed.into_iter().collect());
            }
        }
    }
}

/// Builds the catalog of what is known now.
pub(super) fn merge(generation: u64, settings: &CatalogSettings, fleet: &Fleet) -> Catalog {
    let known: Vec<_> =
        fleet.members().iter().filter_map(|member| Some((member, member.listing()?))).collect();
    let sources: Vec<Source<'_>> = known
        .iter()
        .map(|(member, (listing, stale))| Source {
            exposure: &member.exposure,
            listing,
            stale: *stale,
            over_http: matches!(member.backend.settings().transport, TransportSettings::Http { .. }),
        })
        .collect();
    Catalog::merge(generation, settings, &sources).partial(fleet.is_partial())
}

impl Router {
    /// Keeps the catalog up to date until `stop`: merges whenever `changed` was notified.
    pub async fn keep_fresh(
        self: Arc<Self>,
        changed: Arc<Notify>,
        store: Option<PathBuf>,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = changed.notified() => {}
                () = stop.cancelled() => return,
            }
            tokio::time::sleep(DEBOUNCE).await;
            self.refresh();
            if let Some(store) = &store {
                self.keep(store.clone()).await;
            }
        }
    }

    /// Merges once and tells clients what changed.
    pub fn refresh(&self) {
        let mut merged = self.merged.lock();
        *merged = self.offers();
        self.merge_and_tell();
    }

    /// The same, if a backend offers something else than what the catalog is made of.
    pub(super) fn refresh_if_due(&self) {
        let mut merged = self.merged.lock();
        let offers = self.offers();
        let is_same = |(one, other): (&Option<Arc<Offer>>, &Option<Arc<Offer>>)| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        if merged.len() != offers.len() || !merged.iter().zip(&offers).all(is_same) {
            *merged = offers;
            self.merge_and_tell();
        }
    }

    /// The same, if a backend was reached of which the catalog has nothing yet. A list that was asked for while the
    /// backend was being reached waits for it; one that comes a moment later must not see less.
    pub(super) fn refresh_if_reached(&self) {
        let is_missing = {
            let (merged, fleet) = (self.merged.lock(), self.fleet());
            let mut members = fleet.members().iter().enumerate();
            members.any(|(at, member)| {
                member.backend.offer().is_some() && merged.get(at).is_none_or(Option::is_none)
            })
        };
        if is_missing {
            self.refresh_if_due();
        }
    }

    fn offers(&self) -> Vec<Option<Arc<Offer>>> {
        self.fleet().members().iter().map(|member| member.backend.offer()).collect()
    }

    fn merge_and_tell(&self) {
        let old = self.catalog();
        let fleet = self.fleet();
        let mut new = merge(old.generation(), &self.settings(), &fleet);
        let changed = new.changed_since(&old);
        if !changed.is_empty() {
            new.advance();
        }
        for warning in new.warnings() {
            if !old.warnings().contains(warning) && WARNING_LINES.admits("") {
                tracing::warn!(%warning, "catalog");
            }
        }
        record(&new);
        self.replace_catalog(new);
        if !changed.is_empty() {
            tracing::debug!(lists = ?changed, "what clients see has changed");
            self.counters().send_modify(|counters| {
                for kind in changed {
                    *counters.entry(kind).or_default() += 1;
                }
            });
        }
    }

    /// Keeps the series of calls that may come, however long none does.
    pub fn keep_series(&self) {
        show_series(&self.catalog());
    }

    async fn keep(&self, store: PathBuf) {
        let fleet = self.fleet();
        let kept: BTreeMap<String, KeptListing> = fleet
            .members()
            .iter()
            .filter_map(|member| Some((member.backend.name().to_owned(), member.to_keep()?)))
            .collect();
        if !self.is_news(&kept) {
            return;
        }
        let written = tokio::task::spawn_blocking(move || write(&store, &kept)).await;
        if let Ok(Err(error)) = written
            && KEEP_LINES.admits("")
        {
            tracing::warn!(%error, "the catalog could not be kept for the next start; is `state_dir` writable?");
        }
    }
}

fn write(store: &Path, kept: &BTreeMap<String, KeptListing>) -> std::io::Result<()> {
    if let Some(directory) = store.parent() {
        std::fs::create_dir_all(directory)?;
    }
    save(store, kept)
}

/// Shows the first tools of each backend with everything that can become of their calls at zero.
fn show_series(catalog: &Catalog) {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for tool in catalog.tools() {
        let shown = shown.entry(&*tool.route.backend).or_default();
        if *shown < SHOWN_TOOLS {
            CallMetrics::begin(&tool.route.backend, Routed::CallTool.method(), &tool.route.qualified);
        }
        *shown += 1;
    }
}

fn record(catalog: &Catalog) {
    process::catalog_generation(catalog.generation());
    show_series(catalog);
    for (backend, summary) in catalog.summaries() {
        backends::catalog_tokens(backend, summary.tokens);
        backends::entries(
            backend,
            Entries {
                tools: summary.tools,
                prompts: summary.prompts,
                resources: summary.resources,
                resource_templates: summary.resource_templates,
            },
        );
    }
}
