//! Connections for calls whose client can be asked something.
//!
//! A legacy server is told once per connection what it may ask, and over a pipe nothing says which
//! call a question is about. So a client that can be asked gets a connection that was opened with just
//! its capabilities, for one call at a time. The connection last given back is taken first: while
//! calls do not overlap, they all meet the same server session.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::protocol::ClientCapabilities;

use super::connection::{Connection, Established};

/// A connection nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// The connections of one backend beside its shared one.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<Pooled>>,
    places: Arc<Semaphore>,
    /// Connections being closed.
    closing: TaskTracker,
}

#[derive(Debug)]
struct Pooled {
    capabilities: ClientCapabilities,
    established: Established,
    since: Instant,
    place: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of at most `size` connections.
    pub(super) fn new(size: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(size));
        Arc::new(Self { idle: Mutex::default(), places, closing: TaskTracker::new() })
    }

    /// A connection that is open already.
    pub(super) fn take(self: &Arc<Self>, capabilities: ClientCapabilities) -> Option<Lease> {
        loop {
            let pooled = {
                let mut idle = self.idle.lock();
                let at = idle.iter().rposition(|pooled| pooled.capabilities == capabilities)?;
                idle.remove(at)
            };
            if pooled.established.connection.signals().is_lost() {
                self.discard(pooled.established);
                continue;
            }
            return Some(Lease::pooled(self, pooled));
        }
    }

    /// Room for one more connection, within `patience`; one that is idle makes room if need be.
    pub(super) async fn place(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        if let Some(place) = self.evict() {
            return Some(place);
        }
        timeout(patience, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }

    /// Closes the connection that was idle longest, for its place.
    fn evict(&self) -> Option<OwnedSemaphorePermit> {
        let mut idle = self.idle.lock();
        let oldest = (!idle.is_empty()).then(|| idle.remove(0))?;
        drop(idle);
        self.discard(oldest.established);
        Some(oldest.place)
    }

    /// Lends a connection that was just opened.
    pub(super) fn lend(
        self: &Arc<Self>,
        capabilities: ClientCapabilities,
        established: Established,
        place: OwnedSemaphorePermit,
    ) -> Lease {
        Lease::pooled(self, Pooled { capabilities, established, since: Instant::now(), place })
    }

    /// Closes what nobody used for a while.
    pub(super) fn sweep(&self) {
        let expired: Vec<Pooled> = {
            let mut idle = self.idle.lock();
            idle.extract_if(.., |pooled| pooled.since.elapsed() >= IDLE).collect()
        };
        expired.into_iter().for_each(|pooled| self.discard(pooled.established));
    }

    /// Closes everything that is not lent, and waits for what is being closed.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        idle.into_iter().for_each(|pooled| self.discard(pooled.established));
        self.closing.close();
        self.closing.wait().await;
        self.closing.reopen();
    }

    fn discard(&self, established: Established) {
        // Without a runtime the process is ending; the child's own drop kills what is left of it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.closing.spawn_on(established.end("the connection is not needed any more"), &runtime);
        }
    }
}

/// A connection for the length of one call.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Arc<Connection>,
    /// None for the shared connection.
    pooled: Option<(Arc<Pool>, Pooled)>,
    is_clean: bool,
}

impl Lease {
    /// The connection that everybody uses.
    pub(super) fn shared(connection: Arc<Connection>) -> Self {
        Self { connection, pooled: None, is_clean: true }
    }

    fn pooled(pool: &Arc<Pool>, pooled: Pooled) -> Self {
        let connection = Arc::clone(&pooled.established.connection);
        Self { connection, pooled: Some((Arc::clone(pool), pooled)), is_clean: false }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Says that the call was answered: nothing that comes later can be about it.
    pub(super) fn finish(&mut self) {
        self.is_clean = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some((pool, mut pooled)) = self.pooled.take() else { return };
        // A question about a call that was given up must not reach the next one's client.
        if !self.is_clean || self.connection.signals().is_lost() {
            return pool.discard(pooled.established);
        }
        pooled.since = Instant::now();
        pool.idle.lock().push(pooled);
    }
}
