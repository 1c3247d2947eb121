//! Connections that one call at a time has for itself.
//!
//! A legacy server is told once per connection what it may ask, and over a pipe nothing says which
//! call a question is about. So a client that can be asked gets a connection that was opened with just
//! its capabilities, for one call at a time. The connection last given back is taken first: while
//! calls do not overlap, they all meet the same server session.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::protocol::ClientCapabilities;

use super::connection::{Connection, Established};
use super::places::{Places, Room};
use super::waiting_calls::{WaitingCall, WaitingCalls};

/// The connections of one backend that are lent to one call at a time.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<Pooled>>,
    places: Places,
    /// Calls that wait for their client; their connections count for themselves, up to as many again.
    waiting: Arc<WaitingCalls>,
    size: usize,
    /// How long an unused connection stays open.
    patience: Duration,
}

#[derive(Debug)]
struct Pooled {
    capabilities: ClientCapabilities,
    established: Established,
    since: Instant,
    /// None while its call waits for its client.
    room: Option<Room>,
}

/// What a call finds.
pub(super) enum Entered {
    /// A connection that is open already.
    Open(Borrowed),
    /// Room to open one.
    Room(Room),
}

impl Pool {
    /// A pool of at most `size` connections, each closed after `idle` without use.
    pub(super) fn new(size: usize, idle: Duration) -> Arc<Self> {
        let (places, waiting) = (Places::new(size), Arc::default());
        Arc::new(Self { idle: Mutex::default(), places, waiting, size, patience: idle })
    }

    /// A connection, or room for one, within `patience`; one that is idle makes room if need be.
    pub(super) async fn enter(
        self: &Arc<Self>,
        capabilities: ClientCapabilities,
        patience: Duration,
    ) -> Option<Entered> {
        let attempt = || {
            let open = self.take(capabilities).map(Entered::Open);
            open.or_else(|| self.places.take().or_else(|| self.evict()).map(Entered::Room))
        };
        self.places.find(patience, attempt).await
    }

    fn take(self: &Arc<Self>, capabilities: ClientCapabilities) -> Option<Borrowed> {
        loop {
            let pooled = {
                let mut idle = self.idle.lock();
                let at = idle.iter().rposition(|pooled| pooled.capabilities == capabilities)?;
                idle.remove(at)
            };
            if !pooled.established.connection.signals().is_lost() {
                return Some(Borrowed::new(self, pooled));
            }
            self.places.discard(pooled.established);
        }
    }

    /// Closes the connection that was idle longest, for its room.
    fn evict(&self) -> Option<Room> {
        let mut idle = self.idle.lock();
        let oldest = (!idle.is_empty() && self.places.may_open()).then(|| idle.remove(0))?;
        drop(idle);
        self.places.discard(oldest.established);
        oldest.room
    }

    /// Lends a connection that was just opened.
    pub(super) fn lend(
        self: &Arc<Self>,
        capabilities: ClientCapabilities,
        established: Established,
        room: Room,
    ) -> Borrowed {
        Borrowed::new(self, Pooled { capabilities, established, since: Instant::now(), room: Some(room) })
    }

    /// Connections there are now.
    pub(super) fn open(&self) -> usize {
        self.places.taken() + self.waiting.len()
    }

    /// Closes what was lost, and what nobody used for a while.
    pub(super) fn sweep(&self) {
        let is_over = |pooled: &mut Pooled| {
            pooled.since.elapsed() >= self.patience || pooled.established.connection.signals().is_lost()
        };
        let expired: Vec<Pooled> = self.idle.lock().extract_if(.., is_over).collect();
        expired.into_iter().for_each(|pooled| self.discard(pooled));
    }

    /// Closes everything that is not lent, and waits for what is being closed.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        idle.into_iter().for_each(|pooled| self.discard(pooled));
        self.places.closed().await;
    }

    /// The same for good: what is lent may take `patience` to come back.
    pub(super) async fn end(&self, patience: Duration) {
        self.close().await;
        self.places.find(patience, || (self.open() == 0).then_some(())).await;
        self.close().await;
    }

    fn discard(&self, pooled: Pooled) {
        self.places.discard(pooled.established);
        drop(pooled.room);
        self.places.given_back();
    }
}

/// A connection of a pool for the length of one call.
#[derive(Debug)]
pub(super) struct Borrowed {
    pool: Arc<Pool>,
    connection: Arc<Connection>,
    /// Taken when it is given back.
    pooled: Option<Box<Pooled>>,
    waiting: Option<WaitingCall>,
    is_clean: bool,
}

impl Borrowed {
    fn new(pool: &Arc<Pool>, pooled: Pooled) -> Self {
        let connection = Arc::clone(&pooled.established.connection);
        Self {
            pool: Arc::clone(pool),
            connection,
            pooled: Some(Box::new(pooled)),
            waiting: None,
            is_clean: false,
        }
    }

    pub(super) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    /// Says that the call waits for its client: its room is for another call.
    pub(super) fn wait(&mut self, principal: &Arc<str>) {
        if let Some(waiting) = &self.waiting {
            return waiting.waits();
        }
        self.waiting = Some(self.pool.waiting.begin(principal, self.pool.size));
        let room = self.pooled.as_mut().and_then(|pooled| pooled.room.take());
        drop(room);
        self.pool.places.given_back();
    }

    pub(super) fn waiting(&self) -> Option<&WaitingCall> {
        self.waiting.as_ref()
    }

    /// Says that the call was answered.
    pub(super) fn finish(&mut self) {
        self.is_clean = true;
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(mut pooled) = self.pooled.take() else { return };
        drop(self.waiting.take());
        if pooled.room.is_none() {
            pooled.room = self.pool.places.take();
        }
        // A question about a call that was given up must not reach the next one's client.
        if pooled.room.is_none() || !self.is_clean || self.connection.signals().is_lost() {
            return self.pool.discard(*pooled);
        }
        pooled.since = Instant::now();
        self.pool.idle.lock().push(*pooled);
        self.pool.places.given_back();
    }
}
