//! Which events of a session's streams can still be sent to a client that lost its connection?

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::resilience::Holder;

/// What one session may keep, in bytes.
const BUDGET: usize = 1024 * 1024;
/// What all sessions together may keep, in bytes of events.
static EVERYBODY: Together = Together::up_to(128 * 1024 * 1024);
/// A holder keeps little if it keeps no more than this part of what all may keep.
const LITTLE: usize = 16;
/// What an event counts for at least, so that there are never more than 256.
const LEAST_COST: usize = 4 * 1024;
/// How long a client may stay away, after the last event of a stream or from one without an end.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One call: it ends with the answer.
    Call,
    /// Messages that answer nothing.
    Notices,
}

impl Purpose {
    fn letter(self) -> char {
        match self {
            Self::Call => 'c',
            Self::Notices => 'n',
        }
    }
}

/// Names an event within its session, and says which stream it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    /// Part of the id, so that it is still known when the stream is not.
    pub(super) purpose: Purpose,
    pub(super) stream: u64,
    /// From 1 on; 0 stands for the beginning of the stream.
    pub(super) number: u64,
}

impl EventId {
    /// Reads what a client remembered; `None` if it was never an id of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stream, number) = text.split_once('-')?;
        let of = |purpose: Purpose| Some((purpose, stream.strip_prefix(purpose.letter())?));
        let (purpose, stream) = of(Purpose::Call).or_else(|| of(Purpose::Notices))?;
        Some(Self { purpose, stream: stream.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-{}", self.purpose.letter(), self.stream, self.number)
    }
}

/// The bound on what all sessions keep to send again, and how much of it is taken, in bytes.
pub(in crate::server) fn usage() -> (usize, usize) {
    (EVERYBODY.bound, EVERYBODY.total.load(Ordering::Relaxed))
}

/// What some sessions keep, and may keep. Beyond the bound, a session makes room with its own events, unless its holder
/// keeps little: there is an eighth more for those.
struct Together {
    kept: Mutex<BTreeMap<Holder, usize>>,
    total: AtomicUsize,
    bound: usize,
}

impl Together {
    const fn up_to(bound: usize) -> Self {
        Self { kept: Mutex::new(BTreeMap::new()), total: AtomicUsize::new(0), bound }
    }

    /// Whether `holder` has to make room.
    fn is_over(&self, holder: &Holder) -> bool {
        let total = self.total.load(Ordering::Relaxed);
        if total <= self.bound {
            return false;
        }
        let own = self.kept.lock().get(holder).copied().unwrap_or(0);
        own > self.bound / LITTLE || total > self.bound + self.bound / 8
    }

    fn add(&self, holder: &Holder, event: &Bytes) {
        self.total.fetch_add(event.len(), Ordering::Relaxed);
        let mut kept = self.kept.lock();
        match kept.get_mut(holder) {
            Some(kept) => *kept += event.len(),
            None => drop(kept.insert(holder.clone(), event.len())),
        }
    }

    fn take(&self, holder: &Holder, event: &Bytes) {
        self.total.fetch_sub(event.len(), Ordering::Relaxed);
        let mut all = self.kept.lock();
        let Some(kept) = all.get_mut(holder) else { return };
        *kept = kept.saturating_sub(event.len());
        if *kept == 0 {
            all.remove(holder);
        }
    }
}

/// The kept events of all streams of one session. Nothing is allocated before the first stream.
pub(super) struct Replay {
    together: &'static Together,
    /// To whom what is kept is attributed.
    holder: Holder,
    streams: BTreeMap<u64, Kept>,
    opened: u64,
    spent: usize,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<(u64, Bytes)>,
    /// The number of the newest event, kept or not.
    newest: u64,
    spent: usize,
    ended: Option<Instant>,
}

impl Replay {
    /// Numbers streams from `first` on: of a session that is taken over, the client may remember others.
    pub(super) fn numbered_from(first: u64, holder: Holder) -> Self {
        Self::within(&EVERYBODY, first, holder)
    }

    fn within(together: &'static Together, opened: u64, holder: Holder) -> Self {
        Self { together, holder, streams: BTreeMap::new(), opened, spent: 0 }
    }

    /// A new stream's number.
    pub(super) fn open(&mut self) -> u64 {
        let stream = self.opened;
        self.opened += 1;
        self.streams.insert(stream, Kept::default());
        stream
    }

    /// Streams that a client can come back to.
    #[cfg(test)]
    pub(super) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Keeps an event; for room, the largest stream loses its oldest one, which for an event larger than
    /// all room is this one.
    pub(super) fn record(&mut self, id: EventId, event: Bytes) {
        let Some(kept) = self.streams.get_mut(&id.stream) else { return };
        self.spent += cost(&event);
        kept.spent += cost(&event);
        kept.newest = id.number;
        self.together.add(&self.holder, &event);
        kept.events.push_back((id.number, event));
        while (self.spent > BUDGET || self.together.is_over(&self.holder)) && self.drop_one() {}
    }

    /// The older of two equally large streams goes first.
    fn drop_one(&mut self) -> bool {
        let largest = self.streams.iter_mut().rev().max_by_key(|(_, kept)| kept.spent);
        let Some((&stream, kept)) = largest else { return false };
        let Some((_, event)) = kept.events.pop_front() else { return false };
        kept.spent -= cost(&event);
        self.spent -= cost(&event);
        self.together.take(&self.holder, &event);
        if kept.is_over() {
            self.streams.remove(&stream);
        }
        true
    }

    /// Nothing will be written to `stream` any more.
    pub(super) fn end(&mut self, stream: u64, now: Instant) {
        let Some(kept) = self.streams.get_mut(&stream) else { return };
        kept.ended = Some(now);
        if kept.is_over() {
            self.streams.remove(&stream);
        }
    }

    /// What came after `id` on its stream, as far as it is kept; `None` if there is nothing to go on with:
    /// the stream is unknown, or it ended and has no event left that the client does not know.
    pub(super) fn after(&self, id: EventId) -> Option<VecDeque<Bytes>> {
        let kept = self.streams.get(&id.stream).filter(|kept| id.number <= kept.newest)?;
        let missed = kept.events.iter().filter(|(number, _)| *number > id.number);
        let missed: VecDeque<Bytes> = missed.map(|(_, event)| event.clone()).collect();
        (kept.ended.is_none() || !missed.is_empty()).then_some(missed)
    }

    /// Forgets the streams that ended too long ago.
    pub(super) fn forget(&mut self, now: Instant) {
        let (spent, together, holder) = (&mut self.spent, self.together, &self.holder);
        self.streams.retain(|_, kept| {
            let keep = kept.ended.is_none_or(|ended| now.duration_since(ended) < PATIENCE);
            if !keep {
                *spent -= kept.spent;
                kept.events.iter().for_each(|(_, event)| together.take(holder, event));
            }
            keep
        });
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let events = self.streams.values().flat_map(|kept| &kept.events);
        events.for_each(|(_, event)| self.together.take(&self.holder, event));
    }
}

impl Kept {
    /// Whether there is nothing to keep it for.
    fn is_over(&self) -> bool {
        self.ended.is_some() && self.events.is_empty()
    }
}

fn cost(event: &Bytes) -> usize {
    event.len().max(LEAST_COST)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
