//! How many bytes of messages may be held at a time, by everybody together?
//!
//! Each message has a bound, and so has the number of connections and calls; their product is more than a machine
//! has. So one bound for the process counts the large ones: bodies of clients as they arrive and for as long as their
//! call lasts, and answers of backends until their client has taken them. Where it is met, a body that is still on its
//! way gives way (`arriving.rs`), a client's body waits and is then refused, and a backend is not read until there is
//! room. Only what is ready for its client is never held back, because it may be the one answer of a call that ran: it
//! is counted beyond the bound, and nothing large is taken in until that much was given back.

mod arriving;
mod gathered;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

pub(crate) use arriving::Arriving;
use arriving::Bodies;
pub(crate) use gathered::Gathered;

use crate::resilience::Holder;

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

/// The bound, and how much of it is held, in bytes.
pub fn usage() -> (usize, usize) {
    PROCESS.usage()
}

/// A bound on bytes, in steps.
struct Budget {
    free: Semaphore,
    steps: AtomicUsize,
    /// Steps held beyond the bound, because it became smaller or what was ready had to go: they do not come back.
    owed: AtomicUsize,
    bodies: LazyLock<Bodies>,
}

impl Budget {
    const fn new(bytes: usize) -> Self {
        let steps = bytes / STEP;
        Self {
            free: Semaphore::const_new(steps),
            steps: AtomicUsize::new(steps),
            owed: AtomicUsize::new(0),
            bodies: LazyLock::new(Bodies::default),
        }
    }

    /// The bound, in steps.
    fn bound(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
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

    fn usage(&self) -> (usize, usize) {
        let steps = self.steps.load(Ordering::SeqCst);
        let held = steps.saturating_sub(self.free.available_permits()) + self.owed.load(Ordering::SeqCst);
        (steps * STEP, held * STEP)
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
    /// Who sent it, if a client did.
    owner: Option<Box<Holder>>,
}

impl Default for Held {
    fn default() -> Self {
        Self { budget: &PROCESS, steps: 0, owner: None }
    }
}

impl Held {
    /// Counts a message that is `bytes` long by now; `false` if there is no room for it.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        missing == 0 || self.try_cover(missing)
    }

    fn try_cover(&mut self, missing: u32) -> bool {
        let taken = self.budget.free.try_acquire_many(missing).ok();
        taken.is_some_and(|taken| self.add(taken))
    }

    /// The same for an answer: bodies that are on their way give way to it, and it waits for room for at most
    /// `patience`.
    pub(crate) async fn cover_within(&mut self, bytes: usize, patience: Duration) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 || self.try_cover(missing) {
            return true;
        }
        self.budget.bodies.make_room(missing as usize, None);
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
        let steps = taken.num_permits();
        taken.forget();
        self.own(steps);
        true
    }

    fn own(&mut self, steps: usize) {
        self.steps += steps;
        if let Some(owner) = &self.owner {
            self.budget.bodies.add(owner, steps);
        }
    }

    /// Takes steps beyond the bound, unless `most` are taken so already.
    fn overdraw_within(&mut self, steps: usize, most: usize) -> bool {
        let has_room = self.budget.owed.load(Ordering::SeqCst) + steps <= most;
        if has_room {
            self.budget.overdraw(steps);
            self.own(steps);
        }
        has_room
    }

    /// Counts an answer that found no room for as long as it could wait: it is the one answer of a call that ran.
    /// `false` beyond a quarter of the bound.
    pub(crate) fn cover_beyond(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes) as usize;
        missing == 0 || self.overdraw_within(missing, self.budget.bound() / 4)
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
            self.own(missing);
        }
        self.keep(text)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.steps > 0 {
            if let Some(owner) = &self.owner {
                self.budget.bodies.remove(owner, self.steps);
            }
            self.budget.take_back(self.steps);
        }
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
        Held { budget, steps: 0, owner: None }
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
}
