//! What becomes of an event stream once its answer was read?
//!
//! Its end comes with the answer or right behind it, and only a connection whose last response was read to the end can
//! serve another request. So the end is waited for, on the side and for a moment: the call itself is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::Body;

/// A server that leaves its stream open has its connection closed.
const MOMENT: Duration = Duration::from_millis(100);
/// As it has when it goes on and on.
const CHUNKS: usize = 16;
/// Ends that are waited for at a time, of one backend; the connection of any more is closed at once.
const MOST: usize = 32;

/// Waits for the ends of a backend's streams.
#[derive(Debug, Clone)]
pub(super) struct Rests(Arc<Semaphore>);

impl Rests {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Takes what follows an answer.
    pub(super) fn take(&self, mut body: Body) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        let mut rest = Box::pin(async move {
            let _permit = permit;
            let _ = timeout(MOMENT, read(&mut body)).await;
        });
        // Often it is there already, and takes no task.
        let mut asleep = Context::from_waker(Waker::noop());
        if Pin::new(&mut rest).poll(&mut asleep).is_pending() {
            tokio::spawn(rest);
        }
    }
}

async fn read(body: &mut Body) {
    for _ in 0..CHUNKS {
        if !matches!(body.chunk().await, Ok(Some(_))) {
            return;
        }
    }
}
