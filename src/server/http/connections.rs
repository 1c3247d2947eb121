//! Which connections are open, whose are they, and which one is closed where there are as many as may be?
//!
//! A connection belongs to the address it comes from, and once a request on it was authenticated, to that principal.
//! At the bound, the holder of the most gives way: its connection that is idle longest, then one that only listens,
//! then one whose request is still on its way. A connection with a call in flight is closed only where all others have
//! one too and the room beyond the bound, which is for holders of little, is used up.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::connection::{Activity, Connection, OpenConnection};
use crate::resilience::{FairShare, Holder};
use crate::telemetry::process;

/// Connections beyond the bound: a sixteenth of it, and this many at most.
const MAX_RESERVE: usize = 64;
/// How often a connection that could not be entered is tried again.
const TICK: Duration = Duration::from_millis(50);

/// The connections of one listener.
pub(in crate::server) struct Connections {
    bound: usize,
    reserve: usize,
    table: Mutex<Table>,
    closed: Notify,
    begun: Instant,
}

struct Table {
    share: FairShare<Holder>,
    open: HashMap<u64, Owned>,
    /// The numbers of each holder's connections.
    numbers: HashMap<Holder, BTreeSet<u64>>,
    next: u64,
}

struct Owned {
    connection: Arc<Connection>,
    holder: Holder,
}

/// What becomes of a newcomer.
enum Entry {
    Entered(Arc<Connection>),
    Refused,
    Waits,
}

impl Connections {
    pub(super) fn up_to(bound: usize) -> Arc<Self> {
        let table =
            Table { share: FairShare::new(bound), open: HashMap::new(), numbers: HashMap::new(), next: 0 };
        let reserve = (bound / 16).clamp(1, MAX_RESERVE);
        Arc::new(Self {
            bound,
            reserve,
            table: Mutex::new(table),
            closed: Notify::new(),
            begun: Instant::now(),
        })
    }

    /// The most sockets there are at a time: beside the open ones, those that are being closed.
    pub(super) fn sockets(&self) -> usize {
        self.bound + 2 * self.reserve
    }

    /// Enters a connection, for which another may have to go. It waits where each holder has one and none can go;
    /// `None` for one more of the holder that has most.
    pub(super) async fn enter(self: &Arc<Self>, address: IpAddr) -> Option<OpenConnection> {
        loop {
            let mut closed = std::pin::pin!(self.closed.notified());
            closed.as_mut().enable();
            match self.try_enter(address) {
                Entry::Entered(connection) => return Some(OpenConnection(connection)),
                Entry::Refused => return None,
                // One may also have become idle.
                Entry::Waits => drop(timeout(TICK, closed).await),
            }
        }
    }

    /// Enters a connection beyond the bound too, for one that will not be followed by others.
    pub(super) fn enter_anyway(self: &Arc<Self>, address: IpAddr) -> OpenConnection {
        OpenConnection(self.insert(&mut self.table.lock(), address))
    }

    fn try_enter(self: &Arc<Self>, address: IpAddr) -> Entry {
        let (newcomer, mut table) = (Holder::at(address), self.table.lock());
        let is_full = table.open.len() >= self.bound;
        if is_full && !table.evict_for(&newcomer) && table.open.len() >= self.bound + self.reserve {
            let own = table.share.count(&newcomer);
            let is_largest = table.share.largest().is_none_or(|(most, _)| own >= most);
            if !table.evict_fresh(&newcomer) && (is_largest || !table.evict_calling()) {
                return if is_largest && own > 1 { Entry::Refused } else { Entry::Waits };
            }
        }
        Entry::Entered(self.insert(&mut table, address))
    }

    fn insert(self: &Arc<Self>, table: &mut Table, address: IpAddr) -> Arc<Connection> {
        let number = table.next;
        table.next += 1;
        let connection = Connection::new(number, address, self);
        table.enter(Holder::at(address), Arc::clone(&connection));
        connection
    }

    /// Counts a connection as `holder`'s. `false` where there are more connections than may be and nobody has more of
    /// them.
    pub(super) fn assign(&self, number: u64, holder: Holder) -> bool {
        let mut table = self.table.lock();
        let is_over = table.open.len() > self.bound;
        if is_over && table.share.largest().is_none_or(|(most, _)| table.share.count(&holder) + 1 > most) {
            return false;
        }
        if let Some(entry) = table.remove(number) {
            table.enter(holder, entry.connection);
        }
        true
    }

    pub(super) fn leave(&self, number: u64) {
        self.table.lock().remove(number);
        self.closed.notify_waiters();
    }

    /// Notified when a connection was closed.
    pub(super) fn closed(&self) -> &Notify {
        &self.closed
    }

    /// Whether one that is too many may wait: the room beyond the bound is not for those.
    pub(super) fn may_wait(&self) -> bool {
        self.table.lock().open.len() <= self.bound + self.reserve / 2
    }

    /// In milliseconds since it was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Connections there are, and how many may be.
    pub(in crate::server) fn usage(&self) -> (usize, usize) {
        (self.table.lock().open.len(), self.bound)
    }

    /// Whether the next connection could only be served at the cost of a call.
    pub(in crate::server) fn is_full(&self) -> bool {
        let table = self.table.lock();
        table.open.len() >= self.bound && table.spare(None).is_none()
    }
}

impl Table {
    fn enter(&mut self, holder: Holder, connection: Arc<Connection>) {
        self.share.add(&holder, 1);
        self.numbers.entry(holder.clone()).or_default().insert(connection.number);
        self.open.insert(connection.number, Owned { connection, holder });
    }

    fn remove(&mut self, number: u64) -> Option<Owned> {
        let entry = self.open.remove(&number)?;
        self.share.remove(&entry.holder, 1);
        if let Some(numbers) = self.numbers.get_mut(&entry.holder) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.numbers.remove(&entry.holder);
            }
        }
        Some(entry)
    }

    /// Closes the connection whose end costs least, of the largest holder that has one to spare.
    fn evict_for(&mut self, newcomer: &Holder) -> bool {
        let victim = self.spare(Some(newcomer));
        victim.is_some_and(|number| self.evict(number))
    }

    /// What a newcomer may take: from whoever has more than it, anything but a call, and from itself what does nothing. A
    /// holder of one connection only loses it when it is idle.
    fn spare(&self, newcomer: Option<&Holder>) -> Option<u64> {
        let own = newcomer.map_or(0, |newcomer| self.share.count(newcomer));
        self.share.descending().find_map(|(count, holder)| {
            let allowed = match count {
                _ if newcomer == Some(holder) => Activity::Listening,
                _ if count <= own => return None,
                1 => Activity::Idle,
                _ => Activity::Receiving,
            };
            self.of(holder).filter(|(activity, ..)| *activity <= allowed).min().map(|(.., number)| number)
        })
    }

    /// Closes the oldest connection of `newcomer` itself on which no request has come.
    fn evict_fresh(&mut self, newcomer: &Holder) -> bool {
        let fresh = self.of(newcomer).filter(|(activity, ..)| *activity <= Activity::Fresh).min();
        fresh.is_some_and(|(.., number)| self.evict(number))
    }

    /// The connection of the largest holder that has been busy longest.
    fn evict_calling(&mut self) -> bool {
        let largest = self.share.largest().filter(|(count, _)| *count > 1);
        let oldest = largest.and_then(|(_, holder)| self.of(holder).min()).map(|(.., number)| number);
        oldest.is_some_and(|number| self.evict(number))
    }

    fn of(&self, holder: &Holder) -> impl Iterator<Item = (Activity, u64, u64)> {
        let own = self.numbers.get(holder).into_iter().flatten();
        own.filter_map(|number| self.open.get(number)).map(|Owned { connection, .. }| {
            let (activity, since) = connection.use_of();
            (activity, since, connection.number)
        })
    }

    fn evict(&mut self, number: u64) -> bool {
        let evicted = self.remove(number);
        evicted.is_some_and(|entry| {
            entry.connection.evict();
            process::evicted("connections");
            true
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
