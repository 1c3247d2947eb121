//! How many calls may one backend hold at a time, and whose?

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::place_queue::{Entry, PlaceQueue};
use super::settings::ConcurrencySettings;

/// Callers that may queue for every place there is.
const QUEUE_PER_PLACE: usize = 4;
/// More places than this are as good as no bound.
const MAX_PLACES: usize = 1 << 24;

/// A fixed number of places at one backend, and a bounded queue for them.
///
/// Keeps a slow backend from collecting the calls, tasks and memory of the whole gateway. A place that comes free goes
/// to the waiting holder that has the fewest; where the queue is full, the holder that waits most often gives way.
#[derive(Debug)]
pub struct Bulkhead {
    limit: usize,
    queue: Arc<Mutex<Queue>>,
    queue_wait: Duration,
}

type Queue = PlaceQueue<oneshot::Sender<Place>>;

/// One place; dropping it frees it.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Place {
    queue: Arc<Mutex<Queue>>,
    slot: usize,
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
        Self::with_queue(settings, limit_of(settings) * QUEUE_PER_PLACE)
    }

    /// At least one place, and so many in the queue.
    pub fn with_queue(settings: &ConcurrencySettings, queue: usize) -> Self {
        let limit = limit_of(settings);
        let queue = PlaceQueue::new(limit, queue);
        Self { limit, queue: Arc::new(Mutex::new(queue)), queue_wait: settings.queue_wait }
    }

    /// Takes a place for `holder`, waiting in the queue for at most the configured time.
    ///
    /// Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// [`Busy`] when the queue is full or the wait is over.
    pub async fn enter(&self, holder: &Arc<str>) -> Result<Place, Busy> {
        let (number, granted) = loop {
            let mut queue = self.queue.lock();
            if let Some(slot) = queue.take(holder, now) {
                return Ok(self.place(slot));
            }
            if let Some((slot, grant)) = queue.grant(now) {
                drop(queue);
                drop(grant.send(self.place(slot)));
                continue;
            }
            let (grant, granted) = oneshot::channel();
            match queue.wait(holder, grant, now()) {
                Entry::Queued(number) => break (number, granted),
                Entry::Full => return Err(Busy::QueueFull { in_flight: self.limit }),
            }
        };
        let _leaving = Leaving { queue: &self.queue, number };
        match timeout(self.queue_wait, granted).await {
            Ok(Ok(place)) => Ok(place),
            // The sender was dropped: this one gave way to a holder that has less.
            Ok(Err(_)) => Err(Busy::QueueFull { in_flight: self.limit }),
            Err(_) => Err(Busy::WaitedTooLong { in_flight: self.limit, waited: self.queue_wait }),
        }
    }

    fn place(&self, slot: usize) -> Place {
        Place { queue: Arc::clone(&self.queue), slot }
    }

    /// Places there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Places taken.
    pub fn in_flight(&self) -> usize {
        self.queue.lock().taken()
    }
}

fn limit_of(settings: &ConcurrencySettings) -> usize {
    usize::try_from(settings.in_flight).unwrap_or(usize::MAX).clamp(1, MAX_PLACES)
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Takes a caller out of the queue that waits no longer.
struct Leaving<'a> {
    queue: &'a Mutex<Queue>,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.queue.lock().leave(self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut next = self.queue.lock().free(self.slot, now);
        while let Some((slot, grant)) = next {
            // Not under the lock: one that is not taken comes back at once.
            drop(grant.send(Self { queue: Arc::clone(&self.queue), slot }));
            // There are more where contention has ended.
            next = self.queue.lock().grant(now);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(250);

    fn bulkhead(in_flight: u32) -> Arc<Bulkhead> {
        Arc::new(Bulkhead::new(&ConcurrencySettings { in_flight, queue_wait: WAIT }))
    }

    async fn enter(bulkhead: &Bulkhead, holder: &str) -> Result<Place, Busy> {
        bulkhead.enter(&holder.into()).await
    }

    type Waiter = tokio::task::JoinHandle<Result<Place, Busy>>;

    async fn join_queue(bulkhead: &Arc<Bulkhead>, holder: &'static str) -> Waiter {
        let bulkhead = Arc::clone(bulkhead);
        let waiter = tokio::spawn(async move { enter(&bulkhead, holder).await });
        tokio::task::yield_now().await;
        waiter
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_bulkhead_refuses_after_the_queue_wait_and_not_before() {
        let bulkhead = bulkhead(2);
        let _places = (enter(&bulkhead, "ann").await.unwrap(), enter(&bulkhead, "ann").await.unwrap());
        assert_eq!(bulkhead.in_flight(), 2);
        let start = Instant::now();
        let busy = enter(&bulkhead, "ann").await.unwrap_err();
        let expected = Busy::WaitedTooLong { in_flight: 2, waited: WAIT };
        assert_eq!(busy, expected);
        assert!((WAIT..WAIT * 2).contains(&start.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_freed_place_goes_to_the_first_in_the_queue_and_not_to_a_newcomer() {
        let bulkhead = bulkhead(1);
        let place = enter(&bulkhead, "ann").await.unwrap();
        let first = join_queue(&bulkhead, "ann").await;
        drop(place);
        assert!(enter(&bulkhead, "ann").await.is_err());
        let _place = first.await.unwrap().unwrap();
        assert_eq!(bulkhead.in_flight(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_freed_place_goes_to_whoever_holds_least() {
        let bulkhead = bulkhead(2);
        let places = (enter(&bulkhead, "ann").await.unwrap(), enter(&bulkhead, "ann").await.unwrap());
        let anns = (join_queue(&bulkhead, "ann").await, join_queue(&bulkhead, "ann").await);
        let bob = join_queue(&bulkhead, "bob").await;
        drop(places.0);
        let _bob = bob.await.unwrap().unwrap();
        assert!(anns.0.await.unwrap().is_err() && anns.1.await.unwrap().is_err());
        assert_eq!(bulkhead.in_flight(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once_who_waits_most_often() {
        let bulkhead = bulkhead(1);
        let _place = enter(&bulkhead, "ann").await.unwrap();
        let mut waiters = Vec::new();
        for _ in 0..QUEUE_PER_PLACE {
            waiters.push(join_queue(&bulkhead, "ann").await);
        }
        let start = Instant::now();
        let busy = enter(&bulkhead, "ann").await.unwrap_err();
        assert_eq!(busy, Busy::QueueFull { in_flight: 1 });
        let bob = join_queue(&bulkhead, "bob").await;
        let newest = waiters.pop().unwrap().await.unwrap();
        assert_eq!(newest.unwrap_err(), Busy::QueueFull { in_flight: 1 }, "it gave way to bob");
        assert!(start.elapsed().is_zero() && !bob.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_the_queue_and_takes_no_place() {
        let bulkhead = bulkhead(1);
        let place = enter(&bulkhead, "ann").await.unwrap();
        for _ in 0..QUEUE_PER_PLACE * 2 {
            let waiter = join_queue(&bulkhead, "ann").await;
            waiter.abort();
            assert!(waiter.await.unwrap_err().is_cancelled());
        }
        drop(place);
        assert_eq!(bulkhead.in_flight(), 0);
        assert_eq!(bulkhead.queue.lock().waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_its_waiter_does_not_take_any_more_is_free() {
        let bulkhead = bulkhead(1);
        let place = enter(&bulkhead, "ann").await.unwrap();
        let waiter = join_queue(&bulkhead, "ann").await;
        drop(place);
        waiter.abort();
        let _ = waiter.await;
        assert_eq!(bulkhead.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bulkhead_of_zero_still_lets_one_call_in() {
        assert!(enter(&bulkhead(0), "ann").await.is_ok());
    }
}
