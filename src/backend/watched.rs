//! Which resources do clients watch at this backend, which tasks do they follow, and has it been told so?
//!
//! What is wanted outlives connections: whoever keeps a connection's subscriptions in step with it
//! ([`subscribe`](super::subscribe), [`listen`](super::listen)) begins with all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::protocol::RawJson;

use super::freshness::Freshness;
use super::{Backend, State};

/// Told the backend's own URI of each resource that it says was updated. Runs in the task that reads
/// the connection: it must not wait.
pub type Updated = Arc<dyn Fn(&str) + Send + Sync>;

/// Told the backend's own id of each task that it says has changed, and how it stands. Must not wait either.
pub type TaskTold = Box<dyn Fn(&str, &RawJson) + Send + Sync>;

/// Told the backend's own id of each page that it says was visited. Must not wait either.
pub type Visited = Box<dyn Fn(&str) + Send + Sync>;

/// The resources and tasks that are wanted now; every change has a number.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub serial: u64,
    pub uris: BTreeSet<Arc<str>>,
    /// Only modern backends tell of tasks.
    pub tasks: BTreeSet<Arc<str>>,
}

/// What the backend said to all that was wanted up to `serial`.
#[derive(Debug, Default)]
pub(super) struct Settled {
    serial: u64,
    refused: BTreeMap<Arc<str>, RawJson>,
    /// The tasks it will tell of.
    tasks: BTreeSet<Arc<str>>,
}

/// Shared by a backend and whoever keeps its connection's subscriptions.
#[derive(Default)]
pub(super) struct Watched {
    wanted: watch::Sender<Wanted>,
    settled: watch::Sender<Settled>,
    /// The same of a legacy session beside the shared connection, while there is one: what it said to all that the
    /// shared one had refused.
    side: watch::Sender<Option<Settled>>,
    updated: OnceLock<Updated>,
    task_told: OnceLock<TaskTold>,
    visited: OnceLock<Visited>,
    pub(super) freshness: Freshness,
}

impl Watched {
    /// What is wanted, and every change of it.
    pub(super) fn wanted(&self) -> watch::Receiver<Wanted> {
        self.wanted.subscribe()
    }

    pub(super) fn want(&self, uri: &Arc<str>) -> u64 {
        self.wanted.send_if_modified(|wanted| {
            let is_new = wanted.uris.insert(Arc::clone(uri));
            wanted.serial += u64::from(is_new);
            is_new
        });
        self.wanted.borrow().serial
    }

    pub(super) fn unwant(&self, uri: &str) {
        self.wanted.send_if_modified(|wanted| {
            let was_wanted = wanted.uris.remove(uri);
            wanted.serial += u64::from(was_wanted);
            was_wanted
        });
    }

    /// Says that the backend knows of everything up to `serial`, and what it will not tell of.
    pub(super) fn settle(&self, serial: u64, refused: BTreeMap<Arc<str>, RawJson>) {
        self.settle_with(serial, refused, BTreeSet::new());
    }

    /// The same, with the tasks that the backend will tell of.
    pub(super) fn settle_with(
        &self,
        serial: u64,
        refused: BTreeMap<Arc<str>, RawJson>,
        tasks: BTreeSet<Arc<str>>,
    ) {
        self.settled.send_replace(Settled { serial, refused, tasks });
    }

    /// What the backend said, and every change of it.
    pub(super) fn settlements(&self) -> watch::Receiver<Settled> {
        self.settled.subscribe()
    }

    /// What is wanted and refused on the shared connection, up to where that has answered.
    pub(super) fn untold(&self) -> Wanted {
        let (wanted, settled) = (self.wanted.borrow(), self.settled.borrow());
        let is_refused = |uri: &&Arc<str>| settled.refused.contains_key(*uri);
        let uris = wanted.uris.iter().filter(is_refused).cloned().collect();
        Wanted { serial: settled.serial, uris, tasks: BTreeSet::new() }
    }

    /// Says that there is a legacy session beside the shared connection now, which will be asked.
    pub(super) fn begin_side(&self) {
        self.side.send_replace(Some(Settled::default()));
    }

    /// Says that the legacy session beside the shared connection knows of everything up to `serial`.
    pub(super) fn settle_side(&self, serial: u64, refused: BTreeMap<Arc<str>, RawJson>) {
        self.side.send_replace(Some(Settled { serial, refused, tasks: BTreeSet::new() }));
    }

    /// Says that there is no such session any more.
    pub(super) fn forget_side(&self) {
        self.side.send_replace(None);
    }

    /// Up to where the backend knows, and what it refused.
    #[cfg(test)]
    pub(super) fn settled(&self) -> (u64, Vec<String>) {
        let settled = self.settled.borrow();
        (settled.serial, settled.refused.keys().map(ToString::to_string).collect())
    }

    /// Takes a `notifications/resources/updated`.
    pub(super) fn updated(&self, params: Option<&RawJson>) {
        let uri = params.and_then(|params| params.get("uri"));
        let uri = uri.as_ref().and_then(RawJson::string);
        if let (Some(uri), Some(updated)) = (uri, self.updated.get()) {
            updated(&uri);
        }
    }

    /// Takes a `notifications/elicitation/complete`.
    pub(super) fn visited(&self, params: Option<&RawJson>) {
        let id = params.and_then(|params| params.get("elicitationId"));
        let id = id.as_ref().and_then(RawJson::string);
        if let (Some(id), Some(visited)) = (id, self.visited.get()) {
            visited(&id);
        }
    }

    /// Takes a `notifications/tasks`.
    pub(super) fn task_told(&self, params: Option<&RawJson>) {
        let id = params.and_then(|params| params.get("taskId"));
        let id = id.as_ref().and_then(RawJson::string);
        if let (Some(id), Some(task), Some(told)) = (id, params, self.task_told.get()) {
            told(&id, task);
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("wanted", &self.wanted.borrow().uris.len()).finish_non_exhaustive()
    }
}

impl Backend {
    /// Sets who is told of updated resources; the first one stays.
    pub fn on_updated(&self, updated: Updated) {
        self.each_replica(|replica| replica.on_updated(Arc::clone(&updated)));
        let _ = self.watched.updated.set(updated);
    }

    /// Subscribes to the resource `local`, now if the backend is connected and again with each later
    /// connection. Does not wait; the number is for [`Backend::told`].
    pub fn watch(&self, local: &Arc<str>) -> u64 {
        self.each_replica(|replica| _ = replica.watch(local));
        self.watched.want(local)
    }

    /// Ends what [`Backend::watch`] began.
    pub fn unwatch(&self, local: &str) {
        self.each_replica(|replica| replica.unwatch(local));
        self.watched.unwant(local);
    }

    /// Sets who is told how tasks stand; the first one stays. Tasks belong to the one of its
    /// [places](Backend::places) that has them.
    pub fn on_task(&self, told: TaskTold) {
        let _ = self.watched.task_told.set(told);
    }

    /// Sets who is told of visited pages; the first one stays.
    pub fn on_visited(&self, visited: Visited) {
        let _ = self.watched.visited.set(visited);
    }

    /// Follows the task `local`, as [`Backend::watch`] watches a resource.
    pub fn follow(&self, local: &Arc<str>) -> u64 {
        self.watched.wanted.send_if_modified(|wanted| {
            let is_new = wanted.tasks.insert(Arc::clone(local));
            wanted.serial += u64::from(is_new);
            is_new
        });
        self.watched.wanted.borrow().serial
    }

    /// Ends what [`Backend::follow`] began.
    pub fn unfollow(&self, local: &str) {
        self.watched.wanted.send_if_modified(|wanted| {
            let was_wanted = wanted.tasks.remove(local);
            wanted.serial += u64::from(was_wanted);
            was_wanted
        });
    }

    /// Whether the backend agreed to tell how the task `local` stands.
    pub fn tells_of(&self, local: &str) -> bool {
        self.watched.settled.borrow().tasks.contains(local)
    }

    /// Waits until the backend has answered to everything wanted up to `serial`. A backend that is not
    /// connected is told later, so there is nothing to wait for. How long is up to the caller.
    pub async fn told(&self, serial: u64) {
        if let Some(replicas) = self.replicas() {
            // Each has numbers of its own.
            for replica in replicas.each() {
                let serial = replica.watched.wanted.borrow().serial;
                replica.told_alone(serial).await;
            }
        } else {
            self.told_alone(serial).await;
        }
    }

    async fn told_alone(&self, serial: u64) {
        if matches!(self.state(), State::Ready(_)) {
            let mut settled = self.watched.settled.subscribe();
            let _ = settled.wait_for(|settled| settled.serial >= serial).await;
            let mut side = self.watched.side.subscribe();
            let _ = side.wait_for(|side| side.as_ref().is_none_or(|side| side.serial >= serial)).await;
        }
    }

    /// The error with which the backend refused to tell of `local`; none for all it was told of. Of several
    /// replicas it is enough that one tells.
    pub fn watch_refused(&self, local: &str) -> Option<RawJson> {
        if let Some(replicas) = self.replicas() {
            let connected = replicas.each().filter(|replica| matches!(replica.state(), State::Ready(_)));
            let refusals: Option<Vec<_>> = connected.map(|replica| replica.watch_refused(local)).collect();
            return refusals.and_then(|refusals| refusals.into_iter().next());
        }
        let refused = self.watched.settled.borrow().refused.get(local).cloned();
        match &*self.watched.side.borrow() {
            Some(side) => refused.and_then(|_| side.refused.get(local).cloned()),
            None => refused,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use serde_json::json;

    #[test]
    fn only_what_changes_the_set_gets_a_new_number() {
        let (watched, uri) = (Watched::default(), Arc::from("a://1"));
        assert_eq!((watched.want(&uri), watched.want(&uri)), (1, 1));
        watched.unwant("a://2");
        assert_eq!(watched.wanted.borrow().serial, 1);
        watched.unwant("a://1");
        assert_eq!(watched.want(&uri), 3);
    }

    #[test]
    fn an_update_is_told_by_its_uri_and_one_without_is_not() {
        let (watched, seen) = (Watched::default(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&seen);
        watched.updated.set(Arc::new(move |uri| told.lock().push(uri.to_owned()))).ok().unwrap();
        watched.updated(Some(&RawJson::of(&json!({"uri": "a:\"x"}))));
        watched.updated(Some(&RawJson::of(&json!({"uri": 5}))));
        watched.updated(None);
        assert_eq!(*seen.lock(), ["a:\"x"]);
    }
}
