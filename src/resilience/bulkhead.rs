//! How many calls may one backend hold at a time?

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::settings::ConcurrencySettings;

/// Callers that may queue for every place there is.
const QUEUE_PER_PLACE: usize = 4;

/// A fixed number of places at one backend, and a bounded queue for them.
///
/// Keeps a slow backend from collecting the calls, tasks and memory of the whole gateway. Places
/// are given out in order of arrival.
#[derive(Debug)]
pub struct Bulkhead {
    limit: usize,
    places: Arc<Semaphore>,
    queue: Semaphore,
    queue_wait: Duration,
}

/// One place; dropping it frees it.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Why no place was given. Nothing was sent, so the call may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The queue was as long as it may get; the caller did not wait.
    #[error("{in_flight} calls in flight and the queue behind them is full")]
    QueueFull {
        /// Calls at the backend, which is all it may have.
        in_flight: usize,
    },
    /// No place came free in time.
    #[error("{in_flight} calls in flight and no place came free within {waited:?}")]
    WaitedTooLong {
        /// Calls at the backend, which is all it may have.
        in_flight: usize,
        /// The configured queue wait.
        waited: Duration,
    },
}

impl Bulkhead {
    /// At least one place, and four times as many in the queue.
    pub fn new(settings: &ConcurrencySettings) -> Self {
        let limit = usize::try_from(settings.in_flight)
            .unwrap_or(usize::MAX)
            .clamp(1, Semaphore::MAX_PERMITS / QUEUE_PER_PLACE);
        Self {
            limit,
            places: Arc::new(Semaphore::new(limit)),
            queue: Semaphore::new(limit * QUEUE_PER_PLACE),
            queue_wait: settings.queue_wait,
        }
    }

    /// Takes a place, waiting in the queue for at most the configured time.
    ///
    /// Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// [`Busy`] when the queue is full or the wait is over.
    pub async fn enter(&self) -> Result<Place, Busy> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        let in_flight = self.limit;
        let Ok(_queued) = self.queue.try_acquire() else {
            return Err(Busy::QueueFull { in_flight });
        };
        match timeout(self.queue_wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            // The semaphore is never closed, so only the wait can have ended.
            Ok(Err(_)) | Err(_) => Err(Busy::WaitedTooLong { in_flight, waited: self.queue_wait }),
        }
    }

    /// Places taken.
    pub fn in_flight(&self) -> usize {
        self.limit.saturating_sub(self.places.available_permits())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const WAIT: Duration = Duration::from_millis(250);

    fn bulkhead(in_flight: u32) -> Arc<Bulkhead> {
        Arc::new(Bulkhead::new(&ConcurrencySettings { in_flight, queue_wait: WAIT }))
    }

    async fn join_queue(bulkhead: &Arc<Bulkhead>) -> tokio::task::JoinHandle<Result<Place, Busy>> {
        let bulkhead = Arc::clone(bulkhead);
        let waiter = tokio::spawn(async move { bulkhead.enter().await });
        tokio::task::yield_now().await;
        waiter
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_bulkhead_refuses_after_the_queue_wait_and_not_before() {
        let bulkhead = bulkhead(2);
        let _places = (bulkhead.enter().await.unwrap(), bulkhead.enter().await.unwrap());
        assert_eq!(bulkhead.in_flight(), 2);
        let start = Instant::now();
        let busy = bulkhead.enter().await.unwrap_err();
        let expected = Busy::WaitedTooLong { in_flight: 2, waited: WAIT };
        assert_eq!(busy, expected);
        assert!((WAIT..WAIT * 2).contains(&start.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_freed_place_goes_to_the_first_in_the_queue_and_not_to_a_newcomer() {
        let bulkhead = bulkhead(1);
        let place = bulkhead.enter().await.unwrap();
        let first = join_queue(&bulkhead).await;
        drop(place);
        assert!(bulkhead.enter().await.is_err());
        let _place = first.await.unwrap().unwrap();
        assert_eq!(bulkhead.in_flight(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once() {
        let bulkhead = bulkhead(1);
        let _place = bulkhead.enter().await.unwrap();
        let mut waiters = Vec::new();
        for _ in 0..QUEUE_PER_PLACE {
            waiters.push(join_queue(&bulkhead).await);
        }
        let start = Instant::now();
        let busy = bulkhead.enter().await.unwrap_err();
        assert_eq!(busy, Busy::QueueFull { in_flight: 1 });
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_the_queue_and_takes_no_place() {
        let bulkhead = bulkhead(1);
        let place = bulkhead.enter().await.unwrap();
        for _ in 0..QUEUE_PER_PLACE * 2 {
            let waiter = join_queue(&bulkhead).await;
            waiter.abort();
            assert!(waiter.await.unwrap_err().is_cancelled());
        }
        drop(place);
        assert_eq!(bulkhead.in_flight(), 0);
        assert_eq!(bulkhead.queue.available_permits(), QUEUE_PER_PLACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bulkhead_of_zero_still_lets_one_call_in() {
        assert!(bulkhead(0).enter().await.is_ok());
    }
}
