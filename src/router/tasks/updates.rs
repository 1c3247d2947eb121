//! Which clients are told how their tasks stand, without asking (MCP 2026-07-28, basic/patterns/subscriptions, with the
//! filter `taskIds` of the tasks extension)?

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backend::Backend;
use crate::catalog::Route;
use crate::protocol::{Object, RawJson, meta_key, tasks};

use super::super::convert;
use super::super::request::Caller;
use super::super::router::Router;
use super::id::TaskId;

/// How long a client waits for its backends to agree to tell; one that needs longer is believed.
const PATIENCE: Duration = Duration::from_millis(500);
/// Tasks one client can follow on one stream, and all clients together.
const PER_CLIENT: usize = 256;
const OVERALL: usize = 4_096;

/// The last that was told of each task and that one client has not taken yet, by the ids it knows.
#[derive(Default)]
pub(super) struct Mailbox {
    waiting: Mutex<BTreeMap<Arc<str>, RawJson>>,
    arrived: watch::Sender<()>,
}

impl Mailbox {
    /// What came before and was not taken is out of date.
    pub(super) fn put(&self, id: &Arc<str>, task: RawJson) {
        self.waiting.lock().insert(Arc::clone(id), task);
        self.arrived.send_replace(());
    }
}

/// The tasks that one `subscriptions/listen` follows. Dropping it ends that.
#[derive(Default)]
pub struct TaskUpdates {
    mailbox: Arc<Mailbox>,
    followed: Mutex<Vec<Followed>>,
}

impl TaskUpdates {
    /// How each task stands that changed since this was last asked.
    pub fn take(&self) -> Vec<RawJson> {
        std::mem::take(&mut *self.mailbox.waiting.lock()).into_values().collect()
    }

    /// Changes whenever there is something to take.
    pub fn arrived(&self) -> watch::Receiver<()> {
        self.mailbox.arrived.subscribe()
    }
}

/// A task: two replicas may have the same id for two tasks.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    backend: Arc<str>,
    /// The one that has it, if there are several.
    replica: Option<Arc<str>>,
    /// Its own id of it.
    local: Arc<str>,
}

/// A client's letters, and the id it knows the task by.
type Listener = (Arc<Mailbox>, Arc<str>);

/// Who follows which tasks of backends that tell of them.
#[derive(Default)]
pub(in super::super) struct Followers {
    listeners: Mutex<HashMap<Key, Vec<Listener>>>,
}

impl Followers {
    /// Has a backend that takes another's place tell of the tasks that somebody follows.
    pub(in super::super) fn go_on_with(&self, backend: &Arc<Backend>) {
        for key in self.listeners.lock().keys().filter(|key| *key.backend == *backend.name()) {
            if let Some(place) = backend.place(key.replica.as_deref()) {
                place.follow(&key.local);
            }
        }
    }
}

/// One client's interest in one task; dropping it ends the interest.
struct Followed {
    router: Arc<Router>,
    key: Key,
    mailbox: Arc<Mailbox>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut listeners = self.router.followers().listeners.lock();
        let Some(of_task) = listeners.get_mut(&self.key) else { return };
        of_task.retain(|(mailbox, _)| !Arc::ptr_eq(mailbox, &self.mailbox));
        if of_task.is_empty() {
            listeners.remove(&self.key);
            if let Some(place) = self.router.place(&self.key) {
                // Under the lock, so that it cannot overtake somebody's new interest.
                place.unfollow(&self.key.local);
            }
        }
    }
}

impl Router {
    /// Follows as many of the tasks `ids` as are the caller's and as can be told of, and returns those.
    pub async fn follow(
        self: &Arc<Self>,
        updates: &TaskUpdates,
        caller: &Caller,
        mut ids: Vec<String>,
    ) -> Vec<String> {
        if !tasks::are_declared(&caller.capabilities) {
            return Vec::new();
        }
        ids.truncate(PER_CLIENT);
        let mut begun = Vec::with_capacity(ids.len());
        for shown in ids {
            let Ok(id) = self.task(&shown, &caller.principal) else { continue };
            if !id.is_held {
                begun.extend(self.begin_to_follow(updates, id, &shown).map(|told| (shown, Some(told))));
            } else if let Some(task) = self.held().find(&id.local) {
                task.tell(&updates.mailbox, shown.as_str().into());
                begun.push((shown, None));
            }
        }
        let all = async {
            for (backend, _, serial) in begun.iter().filter_map(|(_, told)| told.as_ref()) {
                backend.told(*serial).await;
            }
        };
        let _ = timeout(PATIENCE, all).await;
        begun.retain(|(_, told)| told.as_ref().is_none_or(|(backend, local, _)| backend.tells_of(local)));
        begun.into_iter().map(|(shown, _)| shown).collect()
    }

    fn begin_to_follow(
        self: &Arc<Self>,
        updates: &TaskUpdates,
        id: TaskId,
        shown: &str,
    ) -> Option<(Arc<Backend>, Arc<str>, u64)> {
        let key =
            Key { backend: id.backend.into(), replica: id.replica.map(Arc::from), local: id.local.into() };
        let mut listeners = self.followers().listeners.lock();
        if listeners.values().map(Vec::len).sum::<usize>() >= OVERALL {
            return None;
        }
        let place = self.place(&key)?;
        listeners.entry(key.clone()).or_default().push((Arc::clone(&updates.mailbox), shown.into()));
        let serial = place.follow(&key.local);
        drop(listeners);
        let (local, mailbox) = (Arc::clone(&key.local), Arc::clone(&updates.mailbox));
        updates.followed.lock().push(Followed { router: Arc::clone(self), key, mailbox });
        Some((place, local, serial))
    }

    /// The one that has a task.
    fn place(&self, key: &Key) -> Option<Arc<Backend>> {
        self.backend(&key.backend)?.place(key.replica.as_deref())
    }

    /// Has `backend` report here how tasks stand.
    pub(in super::super) fn hear_tasks(self: &Arc<Self>, backend: &Arc<Backend>) {
        let name = Arc::<str>::from(backend.name());
        for place in backend.places() {
            let (router, name) = (Arc::downgrade(self), Arc::clone(&name));
            let replica = place.replica().map(Arc::<str>::from);
            place.on_task(Box::new(move |local, task| {
                if let Some(router) = Weak::upgrade(&router) {
                    let (backend, replica) = (Arc::clone(&name), replica.clone());
                    router.task_changed(Key { backend, replica, local: local.into() }, task);
                }
            }));
        }
    }

    fn task_changed(&self, key: Key, task: &RawJson) {
        let Some(of_task) = self.followers().listeners.lock().get(&key).cloned() else { return };
        let Key { backend, local, .. } = key;
        let route = Route { backend, local: Arc::clone(&local), qualified: local };
        let task = convert::task(&self.catalog(), &route, task.clone());
        for (mailbox, shown) in of_task {
            let Some(mut object) = Object::parse(&task) else { return };
            object.set("taskId", RawJson::of(&*shown));
            if let Some(mut meta) = object.get("_meta").and_then(Object::parse) {
                meta.remove(meta_key::SUBSCRIPTION_ID);
                object.set("_meta", meta.to_json());
            }
            mailbox.put(&shown, object.to_json());
        }
    }
}
