//! What is sent over HTTP while nobody waits for it: answers to a backend's requests, and notifications.
//!
//! A backend decides how many of them there are, and a backend that takes them and never answers decides how long each
//! takes. So they wait in one bounded queue for each connection, and a few workers send them in order.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

/// Messages that wait.
const MAX_WAITING: usize = 256;
/// Messages that are being sent at a time: one that hangs does not hold up all others.
const MAX_WORKERS: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Bytes>,
    workers: usize,
}

/// What is to be done about a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// It is sent after others.
    Waits,
    /// A worker is to be started, which takes messages until [`Outbox::next`] has none.
    NeedsWorker,
    /// It was not taken: too many wait.
    Full,
}

impl Outbox {
    /// Puts a message at the end.
    pub(super) fn push(&self, text: Bytes) -> Queued {
        let mut queue = self.0.lock();
        if queue.waiting.len() >= MAX_WAITING {
            return Queued::Full;
        }
        queue.waiting.push_back(text);
        if queue.workers >= MAX_WORKERS {
            return Queued::Waits;
        }
        queue.workers += 1;
        Queued::NeedsWorker
    }

    /// The same for one that says nothing new while its like still waits.
    pub(super) fn push_once(&self, text: Bytes) -> Queued {
        if self.0.lock().waiting.contains(&text) { Queued::Waits } else { self.push(text) }
    }

    /// The next message for a worker; `None` ends the worker.
    pub(super) fn next(&self) -> Option<Bytes> {
        let mut queue = self.0.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.workers -= 1;
        }
        next
    }

    /// Says that a worker could not be started.
    pub(super) fn has_no_worker(&self) {
        self.0.lock().workers -= 1;
    }

    /// Drops what waits: the connection has ended.
    pub(super) fn clear(&self) {
        self.0.lock().waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_workers_are_bounded_however_many_are_pushed() {
        let outbox = Outbox::default();
        let mut count = (0, 0, 0);
        for n in 0..100_000 {
            match outbox.push(Bytes::from(format!("{n}"))) {
                Queued::Waits => count.0 += 1,
                Queued::NeedsWorker => count.1 += 1,
                Queued::Full => count.2 += 1,
            }
        }
        assert_eq!(count, (MAX_WAITING - MAX_WORKERS, MAX_WORKERS, 100_000 - MAX_WAITING));
        assert_eq!(outbox.next().as_deref(), Some(&b"0"[..]), "they are sent in order");
        outbox.clear();
        assert!((0..MAX_WORKERS).all(|_| outbox.next().is_none()));
        assert_eq!(outbox.push(Bytes::new()), Queued::NeedsWorker);
    }

    #[test]
    fn what_says_the_same_waits_once() {
        let outbox = Outbox::default();
        let changed = || Bytes::from_static(b"roots changed");
        assert_eq!(outbox.push_once(changed()), Queued::NeedsWorker);
        assert!((0..1000).all(|_| outbox.push_once(changed()) == Queued::Waits));
        assert!(outbox.next().is_some() && outbox.next().is_none());
        assert_eq!(outbox.push_once(changed()), Queued::NeedsWorker);
    }
}
