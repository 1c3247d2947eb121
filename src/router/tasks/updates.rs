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

/// A backend, and its own id of a task.
type Key = (Arc<str>, Arc<str>);

/// A client's letters, and the id it knows the task by.
type Listener = (Arc<Mailbox>, Arc<str>);

/// Who follows which tasks of backends that tell of them.
#[derive(Default)]
pub(in super::super) struct Followers {
    listeners: Mutex<HashMap<Key, Vec<Listener>>>,
}

impl Followers {
    /// The tasks of a backend that somebody follows.
    pub(in super::super) fn of_backend(&self, name: &str) -> Vec<Arc<str>> {
        let listeners = self.listeners.lock();
        let keys = listeners.keys().filter(|(backend, _)| &**backend == name);
        keys.map(|(_, local)| Arc::clone(local)).collect()
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
            if let Some(backend) = self.router.backend(&self.key.0) {
                // Under the lock, so that it cannot overtake somebody's new interest.
                backend.unfollow(&self.key.1);
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
            let Ok(id) = TaskId::open(&self.sealer(), &shown, caller.principal.name()) else { continue };
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
        let key: Key = (id.backend.into(), id.local.into());
        let mut listeners = self.followers().listeners.lock();
        if listeners.values().map(Vec::len).sum::<usize>() >= OVERALL {
            return None;
        }
        let backend = self.backend(&key.0)?;
        listeners.entry(key.clone()).or_default().push((Arc::clone(&updates.mailbox), shown.into()));
        let serial = backend.follow(&key.1);
        drop(listeners);
        let (local, mailbox) = (Arc::clone(&key.1), Arc::clone(&updates.mailbox));
        updates.followed.lock().push(Followed { router: Arc::clone(self), key, mailbox });
        Some((backend, local, serial))
    }

    /// Has `backend` report here how tasks stand.
    pub(in super::super) fn hear_tasks(self: &Arc<Self>, backend: &Backend) {
        let (router, name) = (Arc::downgrade(self), Arc::<str>::from(backend.name()));
        backend.on_task(Box::new(move |local, task| {
            if let Some(router) = Weak::upgrade(&router) {
                router.task_changed(&name, local, task);
            }
        }));
    }

    fn task_changed(&self, backend: &Arc<str>, local: &str, task: &RawJson) {
        let key: Key = (Arc::clone(backend), local.into());
        let Some(of_task) = self.followers().listeners.lock().get(&key).cloned() else { return };
        let route = Route { backend: key.0, local: Arc::clone(&key.1), qualified: key.1 };
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
