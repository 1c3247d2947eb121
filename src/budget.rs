//! How many bytes of messages may be held at a time, by everybody together?
//!
//! Each message has a bound, and so has the number of connections and calls; their product is more than a machine
//! has. So one bound for the process counts the large ones: bodies of clients for as long as their call lasts, and
//! answers of backends until they are delivered. Where it is met, a client's body waits and is then refused, and a
//! backend that writes to a pipe or an event stream is not read until there is room.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// A message of up to this many bytes is not counted: there are at most as many as connections and calls.
pub(crate) const SMALL: usize = 64 * 1024;
/// Bytes that are counted together, so that a message which grows is counted in few steps.
const STEP: usize = 64 * 1024;
/// The bound unless an operator sets another.
pub(crate) const DEFAULT: usize = 256 * 1024 * 1024;

static PROCESS: Budget = Budget::new(DEFAULT);

/// Sets the bound, in bytes. What is held is not touched: it may take a while until a smaller one holds.
pub fn limit(bytes: usize) {
    PROCESS.limit(bytes);
}

/// A bound on bytes, in steps.
struct Budget {
    free: Semaphore,
    steps: AtomicUsize,
    /// Steps that were held when the bound became smaller: they do not come back.
    owed: AtomicUsize,
}

impl Budget {
    const fn new(bytes: usize) -> Self {
        let steps = bytes / STEP;
        Self { free: Semaphore::const_new(steps), steps: AtomicUsize::new(steps), owed: AtomicUsize::new(0) }
    }

    fn limit(&self, bytes: usize) {
        let steps = bytes / STEP;
        let before = self.steps.swap(steps, Ordering::SeqCst);
        if steps > before {
            let more = steps - before;
            self.free.add_permits(more - self.pay(more));
        } else {
            let fewer = before - steps;
            self.owed.fetch_add(fewer - self.free.forget_permits(fewer), Ordering::SeqCst);
        }
    }

    /// Takes up to `steps` off what is owed, and says how many.
    fn pay(&self, steps: usize) -> usize {
        let less = |owed: usize| (owed > 0).then(|| owed.saturating_sub(steps));
        self.owed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map_or(0, |owed| owed.min(steps))
    }

    fn take_back(&self, mut permit: SemaphorePermit<'static>) {
        let owed = self.pay(permit.num_permits());
        if let Some(owed) = permit.split(owed) {
            owed.forget();
        }
    }
}

/// A share of the bound; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Held {
    budget: &'static Budget,
    permit: Option<SemaphorePermit<'static>>,
}

impl Default for Held {
    fn default() -> Self {
        Self { budget: &PROCESS, permit: None }
    }
}

impl Held {
    /// Counts a message that is `bytes` long by now; `false` if there is no room for it.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        let taken = self.budget.free.try_acquire_many(missing).ok();
        taken.map(|taken| self.add(taken)).is_some()
    }

    /// The same, but waits for room for at most `patience`.
    pub(crate) async fn cover_within(&mut self, bytes: usize, patience: Duration) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        let taken = timeout(patience, self.budget.free.acquire_many(missing)).await;
        taken.ok().and_then(Result::ok).map(|taken| self.add(taken)).is_some()
    }

    /// `text`, which is counted until its last part is dropped.
    pub(crate) fn keep(self, text: Bytes) -> Bytes {
        match &self.permit {
            None => text,
            Some(_) => Bytes::from_owner(Kept { text, _held: self }),
        }
    }

    fn missing(&self, bytes: usize) -> u32 {
        let counted = if bytes > SMALL { bytes.div_ceil(STEP) } else { 0 };
        let held = self.permit.as_ref().map_or(0, SemaphorePermit::num_permits);
        u32::try_from(counted.saturating_sub(held)).unwrap_or(u32::MAX)
    }

    fn add(&mut self, taken: SemaphorePermit<'static>) {
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.budget.take_back(permit);
        }
    }
}

/// A chunk of so many bytes is worth more than the buffer it lies in, which its reader can then not use again.
const WORTH_KEEPING: usize = 2 * 1024;

/// A message as it arrives: one that comes in one chunk stays where it was read to, more chunks are joined.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    whole: Bytes,
    joined: BytesMut,
}

impl Gathered {
    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.joined.len()
    }

    /// Adds what arrived of a message that is `announced` to be so long. Memory that was announced and never written
    /// to costs nothing.
    pub(crate) fn push(&mut self, chunk: Bytes, announced: Option<usize>) {
        if self.len() == 0 && chunk.len() >= WORTH_KEEPING {
            self.whole = chunk;
            return;
        }
        let missing = announced.unwrap_or(0).saturating_sub(self.joined.len());
        self.joined.reserve(missing.max(self.whole.len() + chunk.len()));
        self.joined.extend_from_slice(&std::mem::take(&mut self.whole));
        self.joined.extend_from_slice(&chunk);
    }

    pub(crate) fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.whole } else { self.joined.freeze() }
    }
}

struct Kept {
    text: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Budget({} of {} steps free)",
            self.free.available_permits(),
            self.steps.load(Ordering::SeqCst)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(budget: &'static Budget) -> Held {
        Held { budget, permit: None }
    }

    #[test]
    fn a_message_is_counted_until_its_last_part_is_dropped() {
        static BUDGET: Budget = Budget::new(4 * STEP);
        let mut own = held(&BUDGET);
        assert!(own.cover(SMALL) && BUDGET.free.available_permits() == 4, "small ones are not counted");
        assert!(own.cover(2 * STEP) && own.cover(3 * STEP));
        assert_eq!(BUDGET.free.available_permits(), 1);
        assert!(!held(&BUDGET).cover(2 * STEP));
        let part = own.keep(Bytes::from(vec![b'a'; 3 * STEP])).slice(10..12);
        assert_eq!((&part[..], BUDGET.free.available_permits()), (&b"aa"[..], 1));
        drop(part);
        assert!(held(&BUDGET).cover(4 * STEP));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_room_that_another_gives_back() {
        static BUDGET: Budget = Budget::new(2 * STEP);
        let mut first = held(&BUDGET);
        assert!(first.cover(2 * STEP));
        let mut second = held(&BUDGET);
        assert!(!second.cover_within(2 * STEP, Duration::from_secs(1)).await);
        let (got, ()) =
            tokio::join!(second.cover_within(2 * STEP, Duration::from_secs(1)), async { drop(first) });
        assert!(got);
    }

    #[test]
    fn the_bound_can_be_moved() {
        static BUDGET: Budget = Budget::new(2 * STEP);
        BUDGET.limit(STEP);
        assert!(!held(&BUDGET).cover(2 * STEP));
        BUDGET.limit(3 * STEP);
        assert!(held(&BUDGET).cover(3 * STEP));
    }

    #[test]
    fn what_is_held_when_the_bound_becomes_smaller_is_not_given_out_again() {
        static BUDGET: Budget = Budget::new(4 * STEP);
        let (mut first, mut second) = (held(&BUDGET), held(&BUDGET));
        assert!(first.cover(2 * STEP) && second.cover(2 * STEP));
        BUDGET.limit(STEP);
        drop(first);
        assert_eq!(BUDGET.free.available_permits(), 0);
        drop(second);
        assert_eq!(BUDGET.free.available_permits(), 1);
        BUDGET.limit(3 * STEP);
        assert_eq!(BUDGET.free.available_permits(), 3);
    }

    #[test]
    fn a_message_is_gathered_in_order_whatever_the_chunks_are() {
        let text: Vec<u8> = (0..9000u32).map(|at| at as u8).collect();
        for size in [1, 100, 2047, 2048, 5000, 8999, 9000] {
            for announced in [None, Some(9000), Some(10)] {
                let mut gathered = Gathered::default();
                for chunk in text.chunks(size) {
                    gathered.push(Bytes::copy_from_slice(chunk), announced);
                }
                assert_eq!(gathered.len(), text.len());
                assert_eq!(gathered.finish(), text, "chunks of {size}");
            }
        }
        assert!(Gathered::default().finish().is_empty());
    }
}
