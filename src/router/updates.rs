//! How does a client subscribe to resources, and what does it hear of them?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backend::Backend;
use crate::catalog::Route;
use crate::protocol::{Era, RawJson, RpcError, code};
use crate::telemetry::process;

use super::request::Principal;
use super::router::Router;
use super::subscriptions::{Added, Interest, Mailbox, PER_CLIENT, Registry};
use super::target::resource;

/// How long a client waits for its backends to take a subscription. A backend that needs longer, or is
/// not there, is believed: it is told as soon as it can be.
const PATIENCE: Duration = Duration::from_millis(500);

/// One client's subscriptions to resources: a session's, or those of one `subscriptions/listen`.
/// Dropping it ends them.
pub struct Updates {
    owner: Arc<str>,
    mailbox: Arc<Mailbox>,
    /// By the client's spelling.
    held: Mutex<Held>,
}

type Held = BTreeMap<Arc<str>, ResourceSubscription>;

impl Updates {
    /// Those of a client of `principal`.
    pub fn of(principal: &Principal) -> Self {
        Self { owner: principal.shared_name(), mailbox: Arc::default(), held: Mutex::default() }
    }

    /// Ends the subscription to `uri`, if there is one.
    pub fn unsubscribe(&self, uri: &str) {
        let ended = self.held.lock().remove(uri);
        drop(ended);
        self.mailbox.discard(uri);
    }

    /// The resources it watches, as it spells them.
    pub fn watched(&self) -> Vec<String> {
        self.held.lock().keys().map(ToString::to_string).collect()
    }

    /// The resources that were updated since they were last taken, each once.
    pub fn take(&self) -> BTreeSet<Arc<str>> {
        self.mailbox.take()
    }

    /// The pages that were visited since they were last taken, by the ids the client was given.
    pub fn take_visited(&self) -> BTreeSet<Arc<str>> {
        self.mailbox.take_visited()
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Changes whenever there is something to take.
    pub fn arrived(&self) -> watch::Receiver<()> {
        self.mailbox.arrived()
    }
}

/// A client's interest in one resource; dropping it ends the interest.
struct ResourceSubscription {
    router: Arc<Router>,
    route: Route,
    interest: Interest,
}

impl Drop for ResourceSubscription {
    fn drop(&mut self) {
        let mut registry = self.router.registry().lock();
        if registry.remove(&self.route.backend, &self.route.local, &self.interest)
            && let Some(backend) = self.router.backend(&self.route.backend)
        {
            // Under the lock, so that it cannot overtake somebody's new interest.
            backend.unwatch(&self.route.local);
        }
    }
}

/// A subscription that its backend may not know of yet.
struct Told {
    backend: Arc<Backend>,
    local: Arc<str>,
    serial: u64,
}

impl Router {
    /// Subscribes a client to `uri`; once more to what it is subscribed to changes nothing.
    ///
    /// # Errors
    /// The resource is unknown (−32002, to a modern client −32602), its backend cannot or will not tell of
    /// changes (−32602), or there are too many subscriptions (−32603).
    pub async fn subscribe(self: &Arc<Self>, updates: &Updates, uri: &str, era: Era) -> Result<(), RpcError> {
        if era == Era::Legacy {
            // A server of both eras may tell in one of them only.
            let _ = timeout(PATIENCE, self.meet(uri)).await;
        }
        let told = self.begin(updates, uri, era)?;
        let _ = timeout(PATIENCE, told.backend.told(told.serial)).await;
        told.outcome().inspect_err(|_| updates.unsubscribe(uri))
    }

    /// Subscribes a client to as many of `uris` as possible, and returns those.
    pub async fn subscribe_all(
        self: &Arc<Self>,
        updates: &Updates,
        mut uris: Vec<String>,
        era: Era,
    ) -> Vec<String> {
        // More can never be honoured, and each would be looked up.
        uris.truncate(PER_CLIENT);
        let begun: Vec<(String, Told)> = uris
            .into_iter()
            .filter_map(|uri| self.begin(updates, &uri, era).ok().map(|told| (uri, told)))
            .collect();
        let all = async {
            for (_, told) in &begun {
                told.backend.told(told.serial).await;
            }
        };
        let _ = timeout(PATIENCE, all).await;
        let mut honoured = Vec::with_capacity(begun.len());
        for (uri, told) in begun {
            match told.outcome() {
                Ok(()) => honoured.push(uri),
                Err(_) => updates.unsubscribe(&uri),
            }
        }
        honoured
    }

    /// Has the backend of `uri` spoken to in the legacy era, if it speaks both.
    async fn meet(&self, uri: &str) {
        let Ok(route) = resource(&self.catalog(), Era::Legacy, uri) else { return };
        if let Some(backend) = self.backend(&route.backend) {
            backend.meet_legacy_clients().await;
        }
    }

    /// Enters the interest, and has the backend told of it.
    fn begin(self: &Arc<Self>, updates: &Updates, uri: &str, era: Era) -> Result<Told, RpcError> {
        let route = resource(&self.catalog(), era, uri)?;
        let can_tell = self.fleet().member(&route.backend).is_some_and(|member| member.can_tell_of_updates());
        let Some(backend) = self.backend(&route.backend).filter(|_| can_tell) else {
            return Err(RpcError::invalid_params(format!(
                "the backend `{}` does not tell of changes of its resources; read it again instead",
                route.backend
            )));
        };
        let uri: Arc<str> = uri.into();
        let owner = Arc::clone(&updates.owner);
        let interest = Interest { mailbox: Arc::clone(&updates.mailbox), uri, owner };
        let mut held = updates.held.lock();
        let mut registry = self.registry().lock();
        let replaced = self.enter(&mut held, &mut registry, &route, interest)?;
        // Under the lock, because a reload that replaces the backend hands its interests over under it.
        let backend = self.backend(&route.backend).unwrap_or(backend);
        let serial = backend.watch(&route.local);
        drop(registry);
        // Not earlier: its end locks the registry.
        drop(replaced);
        Ok(Told { backend, local: route.local, serial })
    }

    /// Has the interest entered and held, and returns what was held for its URI before, if that led elsewhere.
    fn enter(
        self: &Arc<Self>,
        held: &mut Held,
        registry: &mut Registry,
        route: &Route,
        interest: Interest,
    ) -> Result<Option<ResourceSubscription>, RpcError> {
        let before = held.get(&interest.uri);
        let leads_there = |before: &ResourceSubscription| {
            (&before.route.backend, &before.route.local) == (&route.backend, &route.local)
        };
        let is_same = before.is_some_and(leads_there);
        if is_same && registry.has(&route.backend, &route.local, &interest) {
            return Ok(None);
        }
        if before.is_none() && held.len() >= PER_CLIENT {
            return Err(RpcError::internal(format!("a client can watch {PER_CLIENT} resources, no more")));
        }
        match registry.add(&route.backend, &route.local, interest.clone()) {
            Added::Entered => {}
            Added::Displacing(emptied) => {
                process::evicted("watches");
                if let Some((name, local)) = emptied {
                    self.backend(&name).iter().for_each(|backend| backend.unwatch(&local));
                }
            }
            Added::Full => return Err(RpcError::internal("too many resources are watched; try again later")),
        }
        // One that gave way to another client's is entered again, and still held: the end of what is held would take
        // out the new entry.
        if is_same {
            return Ok(None);
        }
        let subscription = ResourceSubscription {
            router: Arc::clone(self),
            route: route.clone(),
            interest: interest.clone(),
        };
        Ok(held.insert(interest.uri, subscription))
    }

    /// Has `backend` report here which resources were updated.
    pub(super) fn hear_updates(self: &Arc<Self>, backend: &Backend) {
        let (router, name) = (Arc::downgrade(self), backend.name().to_owned());
        backend.on_updated(Arc::new(move |local| {
            if let Some(router) = Weak::upgrade(&router) {
                router.updated(&name, local);
            }
        }));
    }

    fn updated(&self, backend: &str, local: &str) {
        let catalog = self.catalog();
        // A server with a URL type tells of the normal form of what it lists.
        let local = &*catalog.own_uri(backend, local);
        self.registry().lock().updated(backend, local, || {
            let shown = catalog.shown_uri(backend, local);
            let route = catalog.resource(&shown).or_else(|| catalog.unlisted_resource(&shown));
            // What this client could not read, it does not hear of either.
            route.filter(|route| &*route.backend == backend).map(|_| shown.into())
        });
    }
}

impl Told {
    fn outcome(&self) -> Result<(), RpcError> {
        self.backend.watch_refused(&self.local).map_or(Ok(()), |error| Err(refused(&error)))
    }
}

/// The backend's error, in the gateway's words; only "there is no such resource" keeps its code.
fn refused(error: &RawJson) -> RpcError {
    let is_missing = error.get("code").and_then(|code| code.to()) == Some(code::RESOURCE_NOT_FOUND);
    let code = if is_missing { code::RESOURCE_NOT_FOUND } else { code::INVALID_PARAMS };
    let message = error.get("message").and_then(|message| message.to::<String>()).unwrap_or_default();
    let message: String = message.chars().take(200).collect();
    RpcError::new(code, format!("the backend refused the subscription: {message}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fleet::Fleet;
    use super::super::seal::Sealer;
    use super::*;

    #[test]
    fn a_subscription_that_gave_way_is_entered_again_until_it_ends() {
        let router = Router::new(Default::default(), Fleet::new(Vec::new()), Sealer::new(&[]).unwrap());
        let updates = Updates::of(&Principal::named("ann"));
        let route = Route { backend: "a".into(), local: "a://1".into(), qualified: "a://1".into() };
        let (mailbox, owner) = (Arc::clone(&updates.mailbox), Arc::clone(&updates.owner));
        let interest = Interest { mailbox, uri: "a://1".into(), owner };
        let subscribe = || {
            let (mut held, mut registry) = (updates.held.lock(), router.registry().lock());
            let replaced = router.enter(&mut held, &mut registry, &route, interest.clone()).unwrap();
            drop((held, registry));
            drop(replaced);
        };
        let is_entered = || router.registry().lock().has("a", "a://1", &interest);
        subscribe();
        // As it gives way to another client's.
        router.registry().lock().remove("a", "a://1", &interest);
        subscribe();
        assert!(is_entered());
        subscribe();
        assert_eq!(router.registry().lock().count(), 1);
        updates.unsubscribe("a://1");
        assert_eq!(router.registry().lock().count(), 0);
    }
}
