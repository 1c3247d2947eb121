//! What the server side can ask of everything behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backend::{Backend, Offer};
use crate::catalog::{Catalog, CatalogSettings, KeptListing, Route};
use crate::protocol::{Era, ParamHeader, RawJson, Routed, gateway_info, skills, tasks};
use crate::telemetry::CallMetrics;

use super::exchange::Exchange;
use super::fleet::{Fleet, Member};
use super::parking::Parking;
use super::refresh::{Changes, Counters, merge};
use super::request::Inbound;
use super::seal::Sealer;
use super::settling::FirstWait;
use super::subscriptions::Registry;
use super::tasks::{Followers, Held};
use super::visits::Visits;

/// For what is given up to have its next turn.
const GIVEN_UP: Duration = Duration::from_secs(5);

/// Handles that are kept; each costs a little memory for as long as it is.
const MAX_METRICS: usize = 10_000;

/// Method, backend and name under which a call is counted.
type Counted = (Routed, Arc<str>, Arc<str>);

/// Routes requests to backends and answers lists from the catalog, without asking anybody.
pub struct Router {
    settings: ArcSwap<CatalogSettings>,
    fleet: ArcSwap<Fleet>,
    catalog: ArcSwap<Catalog>,
    counters: watch::Sender<Counters>,
    /// Written on the first call of each name; names come from the catalog only, so it is bounded.
    metrics: DashMap<Counted, Arc<CallMetrics>>,
    /// What was last written to disk.
    kept: Mutex<BTreeMap<String, KeptListing>>,
    sealer: ArcSwap<Sealer>,
    parking: Arc<Parking>,
    held: Held,
    followers: Followers,
    registry: Mutex<Registry>,
    visits: Visits,
    first_wait: FirstWait,
    /// What the catalog is made of. Held while it is made anew, so that the newest is never replaced by an older one.
    pub(super) merged: Mutex<Vec<Option<Arc<Offer>>>>,
}

impl Router {
    /// A router whose catalog holds what was kept of `fleet`.
    pub fn new(settings: CatalogSettings, fleet: Fleet, sealer: Sealer) -> Arc<Self> {
        let catalog = merge(1, &settings, &fleet);
        let router = Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            fleet: ArcSwap::from_pointee(fleet),
            catalog: ArcSwap::from_pointee(catalog),
            counters: watch::Sender::default(),
            metrics: DashMap::new(),
            kept: Mutex::default(),
            sealer: ArcSwap::from_pointee(sealer),
            parking: Arc::default(),
            held: Held::default(),
            followers: Followers::default(),
            registry: Mutex::default(),
            visits: Visits::default(),
            first_wait: FirstWait::default(),
            merged: Mutex::default(),
        });
        for backend in router.backends() {
            router.hear_updates(&backend);
            router.hear_tasks(&backend);
            router.hear_visits(&backend);
        }
        router
    }

    /// What a client is told the gateway can do. It does not depend on which backends are up, so that
    /// it never changes under a session.
    pub fn capabilities(&self, era: Era) -> RawJson {
        let mut capabilities = json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true },
            "logging": {},
            "completions": {},
        });
        let mut extensions = serde_json::Map::new();
        if era == Era::Modern && self.fleet().members().iter().any(Member::makes_tasks) {
            extensions.insert(tasks::EXTENSION.to_owned(), json!({}));
        }
        if let Some(skills) = self.skills().filter(|_| era == Era::Modern) {
            extensions.insert(skills::EXTENSION.to_owned(), skills);
        }
        let vendors = self.fleet().vendor_capabilities();
        if era == Era::Modern {
            vendors.extensions.into_iter().for_each(|(id, settings)| {
                extensions.entry(id).or_insert(settings);
            });
        }
        if !extensions.is_empty() {
            capabilities["extensions"] = extensions.into();
        }
        if !vendors.experimental.is_empty() {
            capabilities["experimental"] = vendors.experimental.into();
        }
        RawJson::of(&capabilities)
    }

    /// The gateway's name and version.
    pub fn server_info(&self) -> RawJson {
        gateway_info()
    }

    /// What all backends together tell a model.
    pub fn instructions(&self) -> Option<String> {
        self.catalog().instructions().map(str::to_owned)
    }

    /// The arguments of a tool that a stateless client repeats in headers; none of a tool nobody has.
    pub fn param_headers(&self, tool: &str) -> Arc<[ParamHeader]> {
        self.catalog.load().tool(tool).map(|tool| Arc::clone(&tool.param_headers)).unwrap_or_default()
    }

    /// Begins an exchange.
    pub fn call(self: &Arc<Self>, inbound: Inbound) -> Exchange {
        Exchange::new(Arc::clone(self), inbound)
    }

    /// Subscribes to changes of what clients see.
    pub fn changes(&self) -> Changes {
        Changes::new(self.counters.subscribe())
    }

    /// Gives up what goes on without a client, before the backends are stopped: parked calls, and tasks that are
    /// followed. These end where they run, at their next turn; what does not take it is left behind.
    pub async fn give_up(&self) {
        self.parking.clear();
        if timeout(GIVEN_UP, self.held.clear()).await.is_err() {
            tracing::warn!("some tasks that were followed could not be given up");
        }
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The backends, in the order of the configuration.
    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.fleet.load().members().iter().map(|member| Arc::clone(&member.backend)).collect()
    }

    /// Seals with other keys from now on.
    pub fn seal_with(&self, sealer: Sealer) {
        self.sealer.store(Arc::new(sealer));
    }

    /// Every backend with what is known of it.
    pub fn fleet(&self) -> Arc<Fleet> {
        self.fleet.load_full()
    }

    /// Seals what clients keep.
    pub fn sealer(&self) -> Arc<Sealer> {
        self.sealer.load_full()
    }

    pub(super) fn parking(&self) -> &Arc<Parking> {
        &self.parking
    }

    pub(super) fn followers(&self) -> &Followers {
        &self.followers
    }

    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    pub(super) fn registry(&self) -> &Mutex<Registry> {
        &self.registry
    }

    pub(super) fn visits(&self) -> &Visits {
        &self.visits
    }

    pub(super) fn first_wait(&self) -> &FirstWait {
        &self.first_wait
    }

    pub(super) fn settings(&self) -> Arc<CatalogSettings> {
        self.settings.load_full()
    }

    pub(super) fn set_settings(&self, settings: CatalogSettings) {
        self.settings.store(Arc::new(settings));
    }

    pub(super) fn set_fleet(&self, fleet: Fleet) {
        // Names that nobody can call any more are counted no longer.
        self.metrics.retain(|(_, backend, _), _| fleet.backend(backend).is_some());
        self.fleet.store(Arc::new(fleet));
    }

    pub(super) fn replace_catalog(&self, catalog: Catalog) {
        self.catalog.store(Arc::new(catalog));
    }

    pub(super) fn counters(&self) -> &watch::Sender<Counters> {
        &self.counters
    }

    pub(super) fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.fleet.load().backend(name).cloned()
    }

    /// Digest of how the backend of this name is reached.
    pub(super) fn identity(&self, backend: &str) -> Option<String> {
        self.fleet.load().member(backend).map(|member| member.identity.clone())
    }

    /// The handles of one name's metrics. A resource is counted under its backend: URIs are not bounded.
    pub(super) fn call_metrics(&self, routed: Routed, route: &Route) -> Arc<CallMetrics> {
        let name: Arc<str> = match routed {
            Routed::CallTool | Routed::GetPrompt => Arc::clone(&route.qualified),
            _ => Arc::from(""),
        };
        let mut key = (routed, Arc::clone(&route.backend), name);
        if let Some(found) = self.metrics.get(&key) {
            return Arc::clone(&found);
        }
        // Names in no list are the client's: they are counted together.
        let catalog = self.catalog();
        if catalog.tool(&key.2).is_none() && catalog.prompt(&key.2).is_none() {
            key.2 = Arc::from("");
        }
        if self.metrics.len() >= MAX_METRICS {
            // Names that are still called come back; those that nobody has any more do not.
            self.metrics.clear();
        }
        let made = Arc::new(CallMetrics::new(&key.1, routed.method(), &key.2));
        Arc::clone(&self.metrics.entry(key).or_insert(made))
    }

    /// Whether `kept` differs from what was last written; then it counts as written.
    pub(super) fn is_news(&self, kept: &BTreeMap<String, KeptListing>) -> bool {
        let mut last = self.kept.lock();
        let same = last.len() == kept.len()
            && kept.iter().all(|(name, new)| {
                last.get(name).is_some_and(|old| old.identity == new.identity && old.listing == new.listing)
            });
        if !same {
            last.clone_from(kept);
        }
        !same
    }
}
