//! Connections that are kept for whoever uses them, because the server keeps state there: one for each
//! principal, or for each session of a client.
//!
//! Calls of one holder share its connection. Where the server was told that it may ask, they take turns:
//! a question is then about the one call that runs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::protocol::ClientCapabilities;
use crate::resilience::FairShare;

use super::connection::{Connection, Established};
use super::places::{Places, Room};
use super::waiting_calls::{WaitingCall, WaitingCalls};
use super::{Failure, FailureKind, Sent};

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// All that one principal does.
    Principal(Arc<str>),
    /// One session of a client, by its number.
    Session(u64),
}

/// What tells one kept connection from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub holder: Holder,
    /// What the server was told that it may ask.
    pub capabilities: ClientCapabilities,
}

/// Whether a principal of this name is let in.
pub type KnowsPrincipal = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The kept connections of one backend.
pub(super) struct Kept {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    /// Who is still let in; unless told, everybody is.
    is_known: Mutex<Option<KnowsPrincipal>>,
    places: Places,
    /// Calls that wait for their client, with their holder's connection.
    waiting: Arc<WaitingCalls>,
    size: usize,
    /// How long an unused connection stays open.
    patience: Duration,
}

/// One holder's place. Locked only while [`Kept::slots`] is, or by whoever opens the connection.
#[derive(Debug)]
struct Slot {
    /// The principal's name, whoever the holder is.
    owner: Arc<str>,
    /// For the one call at a time that the server may ask about.
    turn: Arc<Semaphore>,
    /// Held while the connection is opened: a hundred calls open one.
    opening: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    users: usize,
    since: Instant,
    open: Option<(Established, Room)>,
}

impl Slot {
    fn new(owner: &Arc<str>) -> Arc<Self> {
        let owner = Arc::clone(owner);
        let inner = Inner { users: 0, since: Instant::now(), open: None };
        let turn = Arc::new(Semaphore::new(1));
        Arc::new(Self { owner, turn, opening: tokio::sync::Mutex::default(), inner: Mutex::new(inner) })
    }

    fn is_lost(&self) -> bool {
        self.connection().is_none_or(|connection| connection.signals().is_lost())
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.inner.lock().open.as_ref().map(|(established, _)| Arc::clone(&established.connection))
    }

    /// Since when nobody uses the connection there is.
    fn idle_since(&self) -> Option<Instant> {
        let inner = self.inner.lock();
        (inner.users == 0 && inner.open.is_some()).then_some(inner.since)
    }
}

impl Kept {
    /// At most `size` connections, each closed after `idle` without use.
    pub(super) fn new(size: usize, idle: Duration) -> Arc<Self> {
        let (slots, is_known) = (Mutex::default(), Mutex::default());
        let (places, waiting) = (Places::new(size), Arc::default());
        Arc::new(Self { slots, is_known, places, waiting, size, patience: idle })
    }

    /// Begins to use the connection of `key`, which may not be open yet. Where the server may ask, waits
    /// for the holder's call before this one, at most `patience`.
    ///
    /// # Errors
    /// Busy.
    pub(super) async fn enter(
        self: &Arc<Self>,
        key: Key,
        owner: &Arc<str>,
        patience: Duration,
    ) -> Result<Use, Failure> {
        let takes_turns = !key.capabilities.is_empty();
        let slot = {
            let mut slots = self.slots.lock();
            let slot = match self.knows(&key.holder) {
                true => Arc::clone(slots.entry(key.clone()).or_insert_with(|| Slot::new(owner))),
                // It closes with its last use, and the next client of that name does not meet it.
                false => Slot::new(owner),
            };
            slot.inner.lock().users += 1;
            slot
        };
        let mut used = Use { kept: Arc::clone(self), key, slot, _turn: None, waiting: None };
        if takes_turns {
            let turn = Arc::clone(&used.slot.turn).acquire_owned();
            let turn = timeout(patience, turn).await.ok().and_then(Result::ok);
            used._turn = Some(turn.ok_or_else(|| busy("another call of this client has the connection"))?);
        }
        Ok(used)
    }

    /// Room for one more connection, within `patience`; one that is idle makes room if need be. Where all are in use,
    /// a call that waits for its client gives way.
    async fn room(&self, patience: Duration) -> Option<Room> {
        let attempt = || self.places.take().or_else(|| self.evict());
        if let Some(room) = attempt() {
            return Some(room);
        }
        self.waiting.one_gives_way();
        self.places.find(patience, attempt).await
    }

    /// Closes the connection that was idle longest, of the principal that has most of them.
    fn evict(&self) -> Option<Room> {
        if !self.places.may_open() {
            return None;
        }
        let mut slots = self.slots.lock();
        let mut share = FairShare::new(0);
        slots.values().for_each(|slot| share.add(&slot.owner, 1));
        let oldest = slots
            .iter()
            .filter_map(|(key, slot)| Some((Reverse(share.count(&slot.owner)), slot.idle_since()?, key)))
            .min_by_key(|(share, since, _)| (*share, *since));
        let key = oldest?.2.clone();
        let (established, room) = slots.remove(&key)?.inner.lock().open.take()?;
        self.places.discard(established);
        Some(room)
    }

    /// Ends what is kept for principals that are not let in any more; a call that runs is not cut off. What such a
    /// call opens later is kept for nobody.
    pub(super) fn dismiss(&self, is_known: &KnowsPrincipal) {
        *self.is_known.lock() = Some(Arc::clone(is_known));
        self.end_all(|key, _| !self.knows(&key.holder));
    }

    fn knows(&self, holder: &Holder) -> bool {
        let Holder::Principal(name) = holder else { return true };
        self.is_known.lock().as_ref().is_none_or(|is_known| is_known(name))
    }

    /// Ends what is kept for a holder; a call that runs is not cut off.
    pub(super) fn end(&self, holder: &Holder) {
        self.end_all(|key, _| key.holder == *holder);
    }

    /// Closes what was lost, and what nobody used for a while.
    pub(super) fn sweep(&self) {
        self.end_all(|_, slot| {
            let idle = slot.idle_since();
            idle.is_some_and(|since| since.elapsed() >= self.patience || slot.is_lost())
        });
    }

    /// Ends everything, and waits for what is being closed; what is used may be for `patience`.
    pub(super) async fn close(&self, patience: Duration) {
        self.end_all(|_, _| true);
        self.places.given_back_all(patience).await;
        self.places.closed().await;
    }

    fn end_all(&self, is_over: impl Fn(&Key, &Slot) -> bool) {
        let mut slots = self.slots.lock();
        // What is in use closes with its last use, which does not find it in the table any more.
        let over: Vec<_> = slots.extract_if(|key, slot| is_over(key, slot)).collect();
        over.iter().filter(|(_, slot)| slot.idle_since().is_some()).for_each(|(_, slot)| self.discard(slot));
    }

    /// The open connections of a holder.
    pub(super) fn of(&self, holder: &Holder) -> Vec<Arc<Connection>> {
        let slots = self.slots.lock();
        let own = slots.iter().filter(|(key, _)| key.holder == *holder);
        own.filter_map(|(_, slot)| slot.connection()).collect()
    }

    /// Whether there is an open connection of `key`.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.slots.lock().get(key).is_some_and(|slot| !slot.is_lost())
    }

    /// Connections there are now.
    pub(super) fn open(&self) -> usize {
        self.places.taken()
    }

    fn discard(&self, slot: &Slot) {
        let open = slot.inner.lock().open.take();
        if let Some((established, room)) = open {
            self.places.discard(established);
            drop(room);
        }
        self.places.given_back();
    }

    fn leave(&self, key: &Key, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock();
        let is_unused = {
            let mut inner = slot.inner.lock();
            inner.users -= 1;
            inner.since = Instant::now();
            inner.users == 0
        };
        let is_kept = slots.get(key).is_some_and(|kept| Arc::ptr_eq(kept, slot));
        if is_unused && (!is_kept || slot.is_lost()) {
            if is_kept {
                slots.remove(key);
            }
            self.discard(slot);
        }
        drop(slots);
        self.places.given_back();
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("places", &self.places).finish_non_exhaustive()
    }
}

/// The use of a kept connection for the length of one call.
#[derive(Debug)]
pub(super) struct Use {
    kept: Arc<Kept>,
    key: Key,
    slot: Arc<Slot>,
    _turn: Option<OwnedSemaphorePermit>,
    waiting: Option<WaitingCall>,
}

impl Use {
    /// Says that the call waits for its client.
    pub(super) fn wait(&mut self, principal: &Arc<str>) {
        match &self.waiting {
            Some(waiting) => waiting.waits(),
            None => self.waiting = Some(self.kept.waiting.begin(principal, self.kept.size)),
        }
    }

    pub(super) fn waiting(&self) -> Option<&WaitingCall> {
        self.waiting.as_ref()
    }

    /// What the server may ask.
    pub(super) fn capabilities(&self) -> ClientCapabilities {
        self.key.capabilities
    }

    /// The connection; unless it is there already, `open` makes it once there is room, for which it waits
    /// at most `patience`. `None` if there is nothing to open.
    ///
    /// # Errors
    /// Busy, or why it cannot be opened.
    pub(super) async fn connection(
        &self,
        patience: Duration,
        open: impl Future<Output = Result<Option<Established>, Failure>> + Send,
    ) -> Result<Option<Arc<Connection>>, Failure> {
        let _only_one = self.slot.opening.lock().await;
        match self.slot.connection() {
            Some(connection) if !connection.signals().is_lost() => return Ok(Some(connection)),
            Some(_lost) => self.kept.discard(&self.slot),
            None => {}
        }
        let room = self.kept.room(patience).await;
        let room = room.ok_or_else(|| busy("every connection that the backend may have is in use"))?;
        let Some(established) = open.await? else { return Ok(None) };
        let connection = Arc::clone(&established.connection);
        self.slot.inner.lock().open = Some((established, room));
        Ok(Some(connection))
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.kept.leave(&self.key, &self.slot);
    }
}

fn busy(message: &str) -> Failure {
    Failure::new(FailureKind::Busy, Sent::No, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
