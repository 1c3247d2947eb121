//! How many connections may a backend have beside its shared one, and how do they end?

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::connection::Established;

/// Connections that may be closing at a time however few may be open.
const MIN_CLOSING: usize = 8;

/// Room for one connection.
pub(super) type Room = OwnedSemaphorePermit;

/// The bound on the connections of one backend, and those that are being closed.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    size: usize,
    /// A connection was closed, or is not used just now.
    returned: Arc<Notify>,
    closing: TaskTracker,
}

impl Places {
    pub(super) fn new(size: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(size)),
            size,
            returned: Arc::default(),
            closing: TaskTracker::new(),
        }
    }

    /// Connections there are now.
    pub(super) fn taken(&self) -> usize {
        self.size - self.free.available_permits().min(self.size)
    }

    /// Room for one more; none while as many are still being closed, which may be processes that do not end.
    pub(super) fn take(&self) -> Option<Room> {
        if !self.may_open() {
            return None;
        }
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Whether another may be opened as far as those are concerned that are being closed.
    pub(super) fn may_open(&self) -> bool {
        self.closing.len() < self.size.max(MIN_CLOSING)
    }

    /// Asks `attempt` now and whenever a connection was given back, at most for `patience`.
    pub(super) async fn find<T>(
        &self,
        patience: Duration,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let finding = async {
            loop {
                let mut returned = std::pin::pin!(self.returned.notified());
                returned.as_mut().enable();
                if let Some(found) = attempt() {
                    return found;
                }
                returned.await;
            }
        };
        timeout(patience, finding).await.ok()
    }

    /// Says that there may be room now.
    pub(super) fn given_back(&self) {
        self.returned.notify_waiters();
    }

    /// Closes a connection in the background.
    pub(super) fn discard(&self, established: Established) {
        // Without a runtime the process is ending; the child's own drop kills what is left of it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let returned = Arc::clone(&self.returned);
            let ending = async move {
                established.end("the connection is not needed any more").await;
                returned.notify_waiters();
            };
            self.closing.spawn_on(ending, &runtime);
        }
    }

    /// Waits until every connection was given back, at most `patience`.
    pub(super) async fn given_back_all(&self, patience: Duration) {
        self.find(patience, || (self.taken() == 0).then_some(())).await;
    }

    /// Waits for what is being closed.
    pub(super) async fn closed(&self) {
        self.closing.close();
        self.closing.wait().await;
        self.closing.reopen();
    }
}
