//! What happens on a client's connection, and whose is it?

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use crate::resilience::Holder;
use crate::router::Principal;

/// How long a new connection is given for its first request, in milliseconds.
const GRACE: u64 = 1_000;
/// How long a request of the largest holder waits where there are more connections than may be.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// For a stream to end on a connection that gives way to another.
const LINGER: Duration = Duration::from_millis(200);

/// What happens on a connection, in the order in which it may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Activity {
    /// Nothing, or no more than the beginning of a request.
    Idle,
    /// A stream of messages that answer nothing.
    Listening,
    /// Nothing yet: its first request gets a moment to come.
    Fresh,
    /// A request is on its way.
    Receiving,
    /// A request is being answered.
    Calling,
}

impl Activity {
    fn of(number: u8) -> Self {
        let all = [Self::Idle, Self::Listening, Self::Fresh, Self::Receiving];
        all.get(usize::from(number)).copied().unwrap_or(Self::Calling)
    }
}

/// One open connection.
pub(super) struct Connection {
    pub(super) number: u64,
    address: IpAddr,
    principal: Mutex<Option<Principal>>,
    activity: AtomicU8,
    /// Set while something is written that the client has not taken.
    is_writing: AtomicBool,
    /// When it became idle, in milliseconds since the table was made.
    since: AtomicU64,
    /// No request has come on it yet.
    is_new: AtomicBool,
    /// Set when it is evicted with something on it that takes a moment to end.
    ends_in_order: AtomicBool,
    evicted: CancellationToken,
    table: Arc<Connections>,
}

impl Connection {
    /// The address it comes from.
    pub(super) fn peer(&self) -> IpAddr {
        self.address
    }

    pub(super) fn new(number: u64, address: IpAddr, table: &Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            number,
            address,
            principal: Mutex::default(),
            activity: AtomicU8::new(Activity::Idle as u8),
            is_writing: AtomicBool::new(false),
            since: AtomicU64::new(table.now()),
            is_new: AtomicBool::new(true),
            ends_in_order: AtomicBool::new(false),
            evicted: CancellationToken::new(),
            table: Arc::clone(table),
        })
    }

    /// Whose it is; where clients do not authenticate themselves, the address's.
    pub(super) fn holder(&self, principal: &Principal) -> Holder {
        match principal.is_anonymous() {
            true => Holder::at(self.address),
            false => Holder::Principal(principal.shared_name()),
        }
    }

    /// Whether its last request was of this principal too.
    pub(super) fn is_of(&self, principal: &Principal) -> bool {
        self.principal.lock().as_ref() == Some(principal)
    }

    /// Says whose the request on it is. Where there are more connections than may be and nobody has more of them, it
    /// waits for the end of another; `false` if that takes too long.
    pub(super) async fn authenticated(&self, principal: &Principal) -> bool {
        let deadline = tokio::time::Instant::now() + ROOM_WAIT;
        loop {
            let mut closed = std::pin::pin!(self.table.closed().notified());
            closed.as_mut().enable();
            if self.assign(principal) {
                return true;
            }
            if !self.table.may_wait() {
                return false;
            }
            if timeout_at(deadline, closed).await.is_err() {
                return false;
            }
        }
    }

    /// Counts it as `principal`'s, unless that has too many already.
    pub(super) fn assign(&self, principal: &Principal) -> bool {
        let is_assigned = self.table.assign(self.number, self.holder(principal));
        if is_assigned {
            *self.principal.lock() = Some(principal.clone());
            self.is_new.store(false, Ordering::Relaxed);
        }
        is_assigned
    }

    pub(super) fn begin(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    /// The request was answered.
    pub(super) fn rest(&self) {
        self.since.store(self.table.now(), Ordering::Relaxed);
        self.begin(Activity::Idle);
    }

    /// What it does, and since when.
    pub(super) fn use_of(&self) -> (Activity, u64) {
        (self.activity(), self.since.load(Ordering::Relaxed))
    }

    fn activity(&self) -> Activity {
        match Activity::of(self.activity.load(Ordering::Relaxed)) {
            Activity::Idle if self.is_writing.load(Ordering::Relaxed) => Activity::Calling,
            Activity::Idle if self.is_new.load(Ordering::Relaxed) && self.age() < GRACE => Activity::Fresh,
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

    /// Has it give way to another one; what is on it may take a moment to end.
    pub(super) fn evict(&self) {
        let has_stream = matches!(self.activity(), Activity::Listening | Activity::Calling);
        self.ends_in_order.store(has_stream, Ordering::Relaxed);
        self.evicted.cancel();
    }

    /// How long it gets to end once it is evicted.
    pub(super) fn linger(&self) -> Duration {
        if self.ends_in_order.load(Ordering::Relaxed) { LINGER } else { Duration::ZERO }
    }

    /// Cancelled once it has to give way.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }
}

/// A connection that is served; dropped, it is closed.
pub(super) struct OpenConnection(pub(super) Arc<Connection>);

impl OpenConnection {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.table.leave(self.0.number);
    }
}
