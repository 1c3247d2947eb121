//! Which connections are open, whose are they, and which one is closed where there are as many as may be?
//!
//! A connection belongs to the address it comes from, and once a request on it was authenticated, to that principal.
//! At the bound, the holder of the most gives way: its connection that is idle longest, then one that only listens,
//! then one whose request is still on its way. A connection with a call in flight is closed only where all others have
//! one too and the room beyond the bound, which is for holders of little, is used up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::resilience::{FairShare, Holder};
use crate::router::Principal;
use crate::telemetry::process;

/// Connections beyond the bound: a sixteenth of it, and this many at most.
const MAX_RESERVE: usize = 64;

/// How long a new connection counts as one whose request is on its way, in milliseconds.
const GRACE: u64 = 1_000;

/// What happens on a connection, in the order in which it may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Activity {
    /// Nothing, or no more than the beginning of a request.
    Idle,
    /// A stream of messages that answer nothing.
    Listening,
    /// A request is on its way.
    Receiving,
    /// A request is being answered.
    Calling,
}

impl Activity {
    fn of(number: u8) -> Self {
        [Self::Idle, Self::Listening, Self::Receiving]
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Calling)
    }
}

/// One open connection.
pub(super) struct Connection {
    number: u64,
    address: IpAddr,
    principal: Mutex<Option<Principal>>,
    activity: AtomicU8,
    /// Set while something is written that the client has not taken.
    is_writing: AtomicBool,
    /// When it became idle, in milliseconds since the table was made.
    since: AtomicU64,
    /// No request has come on it yet.
    is_new: AtomicBool,
    evicted: CancellationToken,
    table: Arc<Connections>,
}

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
    open: HashMap<u64, Entry>,
    next: u64,
}

struct Entry {
    connection: Arc<Connection>,
    holder: Holder,
}

impl Connections {
    pub(super) fn up_to(bound: usize) -> Arc<Self> {
        let table = Table { share: FairShare::new(bound), open: HashMap::new(), next: 0 };
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

    /// Enters a connection, for which another may have to go; waits where none can.
    pub(super) async fn enter(self: &Arc<Self>, address: IpAddr) -> OpenConnection {
        loop {
            let mut closed = std::pin::pin!(self.closed.notified());
            closed.as_mut().enable();
            if let Some(connection) = self.try_enter(address) {
                return OpenConnection(connection);
            }
            closed.await;
        }
    }

    /// Enters a connection beyond the bound too, for one that will not be followed by others.
    pub(super) fn enter_anyway(self: &Arc<Self>, address: IpAddr) -> OpenConnection {
        OpenConnection(self.insert(&mut self.table.lock(), address))
    }

    fn try_enter(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Connection>> {
        let mut table = self.table.lock();
        if table.open.len() >= self.bound && !table.evict_least_busy() {
            let may_cut = table.open.len() >= self.bound + self.reserve;
            if may_cut && !table.evict_calling() {
                return None;
            }
        }
        Some(self.insert(&mut table, address))
    }

    fn insert(self: &Arc<Self>, table: &mut Table, address: IpAddr) -> Arc<Connection> {
        let number = table.next;
        table.next += 1;
        let connection = Arc::new(Connection {
            number,
            address,
            principal: Mutex::default(),
            activity: AtomicU8::new(Activity::Idle as u8),
            is_writing: AtomicBool::new(false),
            since: AtomicU64::new(self.now()),
            is_new: AtomicBool::new(true),
            evicted: CancellationToken::new(),
            table: Arc::clone(self),
        });
        table.enter(Holder::at(address), Arc::clone(&connection));
        connection
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Connections there are, and how many may be.
    pub(in crate::server) fn usage(&self) -> (usize, usize) {
        (self.table.lock().open.len(), self.bound)
    }

    /// Whether the next connection could only be served at the cost of a call.
    pub(in crate::server) fn is_full(&self) -> bool {
        let table = self.table.lock();
        table.open.len() >= self.bound && table.least_busy().is_none()
    }
}

impl Table {
    fn enter(&mut self, holder: Holder, connection: Arc<Connection>) {
        self.share.add(&holder, 1);
        self.open.insert(connection.number, Entry { connection, holder });
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.open.remove(&number)?;
        self.share.remove(&entry.holder, 1);
        Some(entry)
    }

    fn evict_least_busy(&mut self) -> bool {
        let victim = self.least_busy();
        victim.is_some_and(|number| self.evict(number))
    }

    /// Of the largest holder that has one, the connection whose end costs least. A holder of one connection only loses
    /// it when it is idle.
    fn least_busy(&self) -> Option<u64> {
        self.share.descending().find_map(|(count, holder)| {
            let allowed = if count > 1 { Activity::Receiving } else { Activity::Idle };
            self.of(holder).filter(|(activity, ..)| *activity <= allowed).min().map(|(.., number)| number)
        })
    }

    /// The connection of the largest holder that has been busy longest.
    fn evict_calling(&mut self) -> bool {
        let largest = self.share.largest().filter(|(count, _)| *count > 1);
        let oldest = largest.and_then(|(_, holder)| self.of(holder).min()).map(|(.., number)| number);
        oldest.is_some_and(|number| self.evict(number))
    }

    fn of(&self, holder: &Holder) -> impl Iterator<Item = (Activity, u64, u64)> {
        let own = self.open.values().filter(move |entry| entry.holder == *holder);
        own.map(|Entry { connection, .. }| {
            (connection.activity(), connection.since.load(Ordering::Relaxed), connection.number)
        })
    }

    fn evict(&mut self, number: u64) -> bool {
        let evicted = self.remove(number);
        evicted.is_some_and(|entry| {
            entry.connection.evicted.cancel();
            process::evicted("connections");
            true
        })
    }
}

impl Connection {
    /// Whose it is; where clients do not authenticate themselves, the address's.
    pub(super) fn holder(&self, principal: &Principal) -> Holder {
        match principal.is_anonymous() {
            true => Holder::at(self.address),
            false => Holder::Principal(principal.shared_name()),
        }
    }

    /// Says whose the request on it is. `false` if it is one too many: there are more connections than may be, and
    /// nobody has more of them.
    pub(super) fn authenticated(&self, principal: &Principal) -> bool {
        {
            let mut known = self.principal.lock();
            if known.as_ref() == Some(principal) {
                return true;
            }
            *known = Some(principal.clone());
            self.is_new.store(false, Ordering::Relaxed);
        }
        let (holder, mut table) = (self.holder(principal), self.table.table.lock());
        let is_over = table.open.len() > self.table.bound;
        if is_over && table.share.largest().is_none_or(|(most, _)| table.share.count(&holder) + 1 > most) {
            return false;
        }
        if let Some(entry) = table.remove(self.number) {
            table.enter(holder, entry.connection);
        }
        true
    }

    pub(super) fn begin(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    /// The request was answered.
    pub(super) fn rest(&self) {
        self.since.store(self.table.now(), Ordering::Relaxed);
        self.begin(Activity::Idle);
    }

    fn activity(&self) -> Activity {
        match Activity::of(self.activity.load(Ordering::Relaxed)) {
            Activity::Idle if self.is_writing.load(Ordering::Relaxed) => Activity::Calling,
            // Its first request gets a moment to come.
            Activity::Idle if self.is_new.load(Ordering::Relaxed) && self.age() < GRACE => {
                Activity::Receiving
            }
            activity => activity,
        }
    }

    /// For how long it has done what it does, in milliseconds.
    fn age(&self) -> u64 {
        self.table.now().saturating_sub(self.since.load(Ordering::Relaxed))
    }

    /// Notes whether something is written that the client has not taken.
    pub(super) fn writes(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    /// Cancelled once it has to give way.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }
}

/// A connection that is served; dropped, it is closed.
pub(super) struct OpenConnection(Arc<Connection>);

impl OpenConnection {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.table.table.lock().remove(self.0.number);
        self.0.table.closed.notify_waiters();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn open(table: &Arc<Connections>, principal: &str, activity: Activity) -> OpenConnection {
        let connection = table.try_enter(HERE).unwrap();
        assert!(connection.authenticated(&Principal::named(principal)), "{principal}");
        connection.begin(activity);
        OpenConnection(connection)
    }

    fn is_evicted(connection: &OpenConnection) -> bool {
        connection.0.evicted.is_cancelled()
    }

    #[test]
    fn whoever_has_most_connections_gives_way_and_what_costs_least_of_them_goes_first() {
        let table = Connections::up_to(4);
        let calling = open(&table, "ann", Activity::Calling);
        let listening = open(&table, "ann", Activity::Listening);
        let idle = open(&table, "ann", Activity::Idle);
        let bobs = open(&table, "bob", Activity::Idle);
        let _newcomer = open(&table, "eve", Activity::Idle);
        assert!(is_evicted(&idle) && !is_evicted(&bobs) && !is_evicted(&listening));
        let _newcomer = open(&table, "dan", Activity::Idle);
        assert!(is_evicted(&listening) && !is_evicted(&calling) && !is_evicted(&bobs));
        drop((idle, listening));
        assert_eq!(table.usage(), (4, 4));
    }

    #[test]
    fn calls_are_cut_only_for_holders_of_little_and_only_where_there_is_no_other_way() {
        let table = Connections::up_to(16);
        let anns: Vec<_> = (0..16).map(|_| open(&table, "ann", Activity::Calling)).collect();
        assert!(table.is_full());
        let hers = table.try_enter(HERE).unwrap();
        assert!(!hers.authenticated(&Principal::named("ann")), "she has all others");
        drop(OpenConnection(hers));
        let bobs = open(&table, "bob", Activity::Calling);
        assert!(!anns.iter().any(is_evicted), "there was room beyond the bound");
        let _eves = open(&table, "eve", Activity::Calling);
        assert_eq!(anns.iter().filter(|one| is_evicted(one)).count(), 1);
        assert!(!is_evicted(&bobs));
    }

    #[test]
    fn an_answer_that_the_client_has_not_taken_counts_as_a_call() {
        let table = Connections::up_to(2);
        let (writing, idle) = (open(&table, "ann", Activity::Idle), open(&table, "ann", Activity::Idle));
        writing.0.writes(true);
        let _newcomer = open(&table, "bob", Activity::Idle);
        assert!(is_evicted(&idle) && !is_evicted(&writing));
    }

    #[test]
    fn who_does_not_authenticate_itself_is_known_by_its_address() {
        let table = Connections::up_to(3);
        let enter = |address: &str| OpenConnection(table.try_enter(address.parse().unwrap()).unwrap());
        let (first, second, other) = (enter("192.0.2.1"), enter("192.0.2.1"), enter("192.0.2.2"));
        assert!(first.0.authenticated(&Principal::anonymous()));
        let _newcomer = enter("192.0.2.3");
        assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&other));
    }

    #[tokio::test]
    async fn where_none_can_go_the_next_one_waits_for_the_end_of_another() {
        let table = Connections::up_to(1);
        let (one, two) = (open(&table, "ann", Activity::Calling), open(&table, "bob", Activity::Calling));
        let waiting = tokio::spawn({
            let table = Arc::clone(&table);
            async move { table.enter(HERE).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(one);
        waiting.await.unwrap();
        assert!(!is_evicted(&two));
    }
}
