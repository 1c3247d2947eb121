//! How many bytes of messages may be held at a time, by everybody together?
//!
//! Each message has a bound, and so has the number of connections and calls; their product is more than a machine
//! has. So one bound for the process counts the large ones: bodies of clients for as long as their call lasts, and
//! answers of backends until their client has taken them. Where it is met, a client's body waits and is then refused,
//! and a backend that writes to a pipe or an event stream is not read until there is room. Only what is ready for its
//! client is never held back, because it may be the one answer of a call that ran: it is counted beyond the bound, and
//! nothing large is taken in until that much was given back.

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
    /// Steps held beyond the bound, because it became smaller or what was ready had to go: they do not come back.
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
            self.overdraw(before - steps);
        }
    }

    /// Takes up to `steps` off what is owed, and says how many.
    fn pay(&self, steps: usize) -> usize {
        let less = |owed: usize| (owed > 0).then(|| owed.saturating_sub(steps));
        self.owed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map_or(0, |owed| owed.min(steps))
    }

    /// Takes steps whether or not they are free.
    fn overdraw(&self, steps: usize) {
        self.owed.fetch_add(steps - self.free.forget_permits(steps), Ordering::SeqCst);
    }

    fn take_back(&self, steps: usize) {
        self.free.add_permits(steps - self.pay(steps));
    }
}

/// A share of the bound; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Held {
    budget: &'static Budget,
    steps: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self { budget: &PROCESS, steps: 0 }
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
        taken.is_some_and(|taken| self.add(taken))
    }

    /// The same, but waits for room for at most `patience`.
    pub(crate) async fn cover_within(&mut self, bytes: usize, patience: Duration) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        let taken = timeout(patience, self.budget.free.acquire_many(missing)).await;
        taken.ok().and_then(Result::ok).is_some_and(|taken| self.add(taken))
    }

    /// `text`, which is counted until its last part is dropped.
    pub(crate) fn keep(self, text: Bytes) -> Bytes {
        match self.steps {
            0 => text,
            _ => Bytes::from_owner(Kept { text, _held: self }),
        }
    }

    fn missing(&self, bytes: usize) -> u32 {
        let counted = if bytes > SMALL { bytes.div_ceil(STEP) } else { 0 };
        u32::try_from(counted.saturating_sub(self.steps)).unwrap_or(u32::MAX)
    }

    fn add(&mut self, taken: SemaphorePermit<'static>) -> bool {
        self.steps += taken.num_permits();
        taken.forget();
        true
    }
}

/// `text` on its way to a client: counted until its last part is dropped, and held back for nothing.
pub(crate) fn sent(text: Bytes) -> Bytes {
    Held::default().overdrawn(text)
}

impl Held {
    /// `text`, counted beyond the bound where there is no room for it.
    pub(crate) fn overdrawn(mut self, text: Bytes) -> Bytes {
        let missing = self.missing(text.len()) as usize;
        if missing > 0 {
            self.budget.overdraw(missing);
            self.steps += missing;
        }
        self.keep(text)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.steps > 0 {
            self.budget.take_back(self.steps);
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
        Held { budget, steps: 0 }
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

    #[test]
    fn what_goes_to_a_client_is_counted_beyond_the_bound_too_and_given_back() {
        static BUDGET: Budget = Budget::new(4 * STEP);
        let text = Bytes::from(vec![b'a'; 3 * STEP]);
        let (first, second) = (held(&BUDGET).overdrawn(text.clone()), held(&BUDGET).overdrawn(text.clone()));
        assert_eq!((&first, &second), (&text, &text), "neither is held back");
        assert!(!held(&BUDGET).cover(2 * STEP));
        drop(first);
        assert_eq!(BUDGET.free.available_permits(), 1, "what was owed is paid first");
        drop(second);
        assert_eq!((BUDGET.free.available_permits(), BUDGET.owed.load(Ordering::SeqCst)), (4, 0));
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
