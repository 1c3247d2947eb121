//! Which clients are told when a resource changes?
//!
//! Interests are counted per backend and URI, so that a backend is asked once however many clients watch.
//! What a client has not taken yet is a set of URIs: a slow client misses repetitions and delays nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::resilience::{FairShare, Share};

/// Resources one client can watch; also the most that wait for it to take them.
pub(super) const PER_CLIENT: usize = 1_000;
/// Resources all clients together can watch; one that several watch counts for each.
pub(super) const OVERALL: usize = 10_000;
/// Steps from a resource up to the ones that may contain it.
const MAX_DEPTH: usize = 32;

/// The updated resources that one client has not taken yet, as it spells them.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<BTreeSet<Arc<str>>>,
    /// The pages it visited and has not been told of, by the ids it was given.
    visited: Mutex<BTreeSet<Arc<str>>>,
    arrived: watch::Sender<()>,
}

impl Mailbox {
    fn put(&self, uri: Arc<str>) {
        let is_new = {
            let mut waiting = self.waiting.lock();
            waiting.len() < PER_CLIENT && waiting.insert(uri)
        };
        if is_new {
            self.arrived.send_replace(());
        }
    }

    pub(super) fn put_visited(&self, id: Arc<str>) {
        let mut visited = self.visited.lock();
        if visited.len() < PER_CLIENT && visited.insert(id) {
            drop(visited);
            self.arrived.send_replace(());
        }
    }

    /// Every page that waits.
    pub(super) fn take_visited(&self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut *self.visited.lock())
    }

    /// Every resource that waits.
    pub(super) fn take(&self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut *self.waiting.lock())
    }

    pub(super) fn discard(&self, uri: &str) {
        self.waiting.lock().remove(uri);
    }

    /// Changes whenever something arrives; at once, if something waits already.
    pub(super) fn arrived(&self) -> watch::Receiver<()> {
        let mut arrived = self.arrived.subscribe();
        if !(self.waiting.lock().is_empty() && self.visited.lock().is_empty()) {
            arrived.mark_changed();
        }
        arrived
    }
}

/// One client's wish to hear of one resource.
#[derive(Debug, Clone)]
pub(super) struct Interest {
    pub(super) mailbox: Arc<Mailbox>,
    /// As the client spells it.
    pub(super) uri: Arc<str>,
    /// The principal's name: the bound on all interests is shared between principals.
    pub(super) owner: Arc<str>,
}

/// What becomes of an interest that is entered.
pub(super) enum Added {
    /// It is entered.
    Entered,
    /// It is entered, and one of a client with more of them gave way. If that was the last one in its resource, that is
    /// named: its backend, and the backend's own name for it.
    Displacing(Option<(Arc<str>, Arc<str>)>),
    /// There are too many, and nobody has more than this client.
    Full,
}

impl Interest {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mailbox, &other.mailbox) && self.uri == other.uri
    }
}

/// A backend's own URI → who wants to know.
type Watchers = HashMap<Arc<str>, Vec<Interest>>;

/// Everybody's interests.
#[derive(Debug)]
pub(super) struct Registry {
    by_backend: HashMap<Arc<str>, Watchers>,
    share: FairShare<Arc<str>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { by_backend: HashMap::new(), share: FairShare::new(OVERALL) }
    }
}

impl Registry {
    /// How many interests there are.
    pub(super) fn count(&self) -> usize {
        self.share.total()
    }

    /// Enters an interest. Where there are too many, one of the client that has most gives way.
    pub(super) fn add(&mut self, backend: &Arc<str>, local: &Arc<str>, interest: Interest) -> Added {
        match self.share.admit(&interest.owner) {
            Share::Admitted => {
                self.enter(backend, local, interest);
                Added::Entered
            }
            Share::Evict(largest) => {
                let emptied = self.displace(&largest);
                self.share.add(&interest.owner, 1);
                self.enter(backend, local, interest);
                Added::Displacing(emptied)
            }
            Share::Reject => Added::Full,
        }
    }

    fn enter(&mut self, backend: &Arc<str>, local: &Arc<str>, interest: Interest) {
        let resources = self.by_backend.entry(Arc::clone(backend)).or_default();
        resources.entry(Arc::clone(local)).or_default().push(interest);
    }

    /// Ends an interest of `owner`, whose client hears of the resource once more: it will read it then.
    fn displace(&mut self, owner: &Arc<str>) -> Option<(Arc<str>, Arc<str>)> {
        let all = self.by_backend.iter().flat_map(|(backend, resources)| {
            resources.iter().flat_map(move |(local, interests)| {
                interests.iter().map(move |interest| (backend, local, interest))
            })
        });
        let (backend, local, interest) = all.into_iter().find(|(.., interest)| interest.owner == *owner)?;
        let (backend, local, interest) = (Arc::clone(backend), Arc::clone(local), interest.clone());
        let is_emptied = self.remove(&backend, &local, &interest);
        interest.mailbox.put(Arc::clone(&interest.uri));
        is_emptied.then_some((backend, local))
    }

    /// Whether an interest is still entered.
    pub(super) fn has(&self, backend: &str, local: &str, interest: &Interest) -> bool {
        let interests = self.by_backend.get(backend).and_then(|resources| resources.get(local));
        interests.is_some_and(|interests| interests.iter().any(|other| other.is(interest)))
    }

    /// The resources of `backend` that somebody watches, by its own names.
    pub(super) fn of_backend(&self, backend: &str) -> Vec<Arc<str>> {
        self.by_backend.get(backend).into_iter().flat_map(|watchers| watchers.keys().cloned()).collect()
    }

    /// Takes an interest out; `true` if it was the last one in this resource.
    pub(super) fn remove(&mut self, backend: &str, local: &str, interest: &Interest) -> bool {
        let Some(resources) = self.by_backend.get_mut(backend) else { return false };
        let Some(interests) = resources.get_mut(local) else { return false };
        let before = interests.len();
        interests.retain(|other| !other.is(interest));
        self.share.remove(&interest.owner, before - interests.len());
        if !interests.is_empty() {
            return false;
        }
        resources.remove(local);
        if resources.is_empty() {
            self.by_backend.remove(backend);
        }
        true
    }

    /// Tells everybody who watches `local` or what contains it: a backend may name a part of what was
    /// subscribed to (MCP 2025-11-25, schema, `ResourceUpdatedNotification`). `shown` says how clients
    /// spell the part, if they may know of it.
    pub(super) fn updated(&self, backend: &str, local: &str, shown: impl FnOnce() -> Option<Arc<str>>) {
        let Some(resources) = self.by_backend.get(backend) else { return };
        for interest in resources.get(local).into_iter().flatten() {
            interest.mailbox.put(Arc::clone(&interest.uri));
        }
        let mut containing = containing(local).filter_map(|uri| resources.get(uri)).flatten().peekable();
        if containing.peek().is_none() {
            return;
        }
        if let Some(shown) = shown() {
            containing.for_each(|interest| interest.mailbox.put(Arc::clone(&shown)));
        }
    }
}

/// The URIs that may contain `uri`, nearest first: cut at each `/`, `?` and `#`, with and without it.
fn containing(uri: &str) -> impl Iterator<Item = &str> {
    let cuts = uri.rmatch_indices(['/', '?', '#']).take(MAX_DEPTH);
    let cuts = cuts.flat_map(|(at, separator)| [at + separator.len(), at]);
    cuts.filter(|end| *end < uri.len()).filter_map(|end| uri.get(..end))
}

#[cfg(test)]
mod tests;
