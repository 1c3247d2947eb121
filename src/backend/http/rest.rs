//! What becomes of a response of which nothing more is wanted?
//!
//! An event stream ends with its answer or right behind it, and what is said to a notification is as good as nothing. But
//! only a connection whose last response was read to the end can serve another request. So the end is waited for, on the
//! side where somebody waits, and for a moment.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::{Body, Response};

/// A server that leaves its response open has its connection closed.
const MOMENT: Duration = Duration::from_millis(100);
/// As it has when it goes on and on.
const CHUNKS: usize = 16;
/// Ends that are waited for at a time, of one backend; the connection of any more is closed at once.
const MOST: usize = 32;

/// Waits for the ends of a backend's responses.
#[derive(Debug, Clone)]
pub(super) struct Rests(Arc<Semaphore>);

impl Rests {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Takes what was not read.
    pub(super) fn take(&self, mut body: Body) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        let mut rest = Box::pin(async move {
            let _permit = permit;
            end(&mut body).await;
        });
        // Often it is there already, and takes no task.
        let mut asleep = Context::from_waker(Waker::noop());
        if Pin::new(&mut rest).poll(&mut asleep).is_pending() {
            tokio::spawn(rest);
        }
    }
}

/// The same for a response that nothing was read of.
pub(in super::super) async fn discard_rest(response: &mut Response) {
    if let Some(mut body) = response.take_body() {
        end(&mut body).await;
    }
}

/// Reads to the end.
pub(super) async fn end(body: &mut Body) {
    let _ = timeout(MOMENT, async {
        for _ in 0..CHUNKS {
            if !matches!(body.chunk().await, Ok(Some(_))) {
                return;
            }
        }
    })
    .await;
}
