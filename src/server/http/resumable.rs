//! How does a client come back to a stream of its session (MCP 2025-11-25, basic/transports, resumability
//! and redelivery)?
//!
//! What is written to a stream is kept for a while and sent to whoever reads the stream now. The writer does
//! not notice when one connection takes the place of another, or that there is none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::events::{EventWriter, Events};
use super::http_session::HttpSession;
use super::replay::{EventId, PATIENCE, Purpose, Replay};
use crate::budget::sent;
use crate::protocol::{Revision, write_comment, write_priming};
use crate::resilience::Holder;
use crate::server::notices::Notices;
use crate::server::session::Session;

/// When a client whose connection broke should be back, in milliseconds.
const RETRY_MS: u64 = 1000;

/// The event streams of one session.
pub(super) struct Streams {
    state: Mutex<State>,
}

struct State {
    replay: Replay,
    /// Of every stream that is written to.
    readers: BTreeMap<u64, Reader>,
    /// The notice stream whose client is gone and may come back.
    paused: Option<PausedStream>,
}

/// A notice stream without a client. It costs no task: what happens meanwhile shows in `notices` once it resumes.
struct PausedStream {
    number: u64,
    written: u64,
    since: Instant,
    notices: Notices,
}

/// What becomes of a client that comes back.
pub(super) enum Resumed {
    /// It goes on where it was.
    Events(Events),
    /// Nothing is left to say on a call's stream, and a new stream would never say it.
    Over,
    /// It gets a new stream: what it came for is any stream for messages that answer nothing.
    New,
}

/// The connection that a stream's events go to; dropped, the connection's stream ends.
#[derive(Clone)]
struct Reader {
    sender: mpsc::Sender<Bytes>,
    /// Cancelled when another connection takes over.
    replaced: CancellationToken,
}

impl Reader {
    fn new(ahead: VecDeque<Bytes>) -> (Self, Events) {
        let (sender, events) = Events::received(ahead);
        (Self { sender, replaced: CancellationToken::new() }, events)
    }

    /// Waits for room, but not for a connection that nobody reads any more.
    async fn take(&self, text: Bytes) {
        tokio::select! {
            _ = self.sender.send(text) => {}
            () = self.replaced.cancelled() => {}
        }
    }
}

impl Streams {
    /// Of a session of `holder`; numbered from `first` on, for one that is taken over.
    pub(super) fn numbered_from(first: u64, holder: Holder) -> Self {
        let (replay, readers) = (Replay::numbered_from(first, holder), BTreeMap::new());
        Self { state: Mutex::new(State { replay, readers, paused: None }) }
    }

    /// Whether a client reads `stream` now.
    pub(super) fn is_read(&self, stream: u64) -> bool {
        self.reader(stream).is_some_and(|reader| !reader.sender.is_closed())
    }

    /// Continues a stream that is still written to, or replays one that has ended, after the event `last`.
    pub(super) fn resume(&self, last: &str) -> Resumed {
        let Some(last) = EventId::parse(last) else { return Resumed::New };
        match (self.events_after(last), last.purpose) {
            (Some(events), _) => Resumed::Events(events),
            (None, Purpose::Call) => Resumed::Over,
            (None, Purpose::Notices) => Resumed::New,
        }
    }

    fn events_after(&self, last: EventId) -> Option<Events> {
        let mut state = self.state.lock();
        state.replay.forget(Instant::now());
        let mut missed = state.replay.after(last)?;
        if missed.is_empty() {
            missed.push_back(comment());
        }
        let (reader, events) = Reader::new(missed);
        if let Some(current) = state.readers.get_mut(&last.stream) {
            std::mem::replace(current, reader).replaced.cancel();
        }
        Some(events)
    }

    /// Forgets what no client will come back for.
    pub(super) fn sweep(&self) {
        let (now, mut state) = (Instant::now(), self.state.lock());
        let is_over = |paused: &mut PausedStream| now.duration_since(paused.since) >= PATIENCE;
        if let Some(paused) = state.paused.take_if(is_over) {
            state.replay.end(paused.number, now);
        }
        state.replay.forget(now);
    }

    /// Whether a stream waits for its client without a task.
    #[cfg(test)]
    fn is_paused(&self) -> bool {
        self.state.lock().paused.is_some()
    }

    fn reader(&self, stream: u64) -> Option<Reader> {
        self.state.lock().readers.get(&stream).cloned()
    }

    fn record(&self, id: EventId, event: Bytes) -> Option<Reader> {
        let mut state = self.state.lock();
        state.replay.record(id, event);
        state.readers.get(&id.stream).cloned()
    }
}

/// A stream of a session; it ends when this is dropped.
pub(super) struct Stream {
    session: Arc<HttpSession>,
    purpose: Purpose,
    number: u64,
    written: AtomicU64,
}

impl Stream {
    /// Opens a stream, read by the returned events. A client that knows what it means is told at once how to
    /// come back.
    pub(super) fn open(session: Arc<HttpSession>, purpose: Purpose) -> (Self, Events) {
        let mut state = session.streams.state.lock();
        let number = state.replay.open();
        let is_primed = is_primed(&session.session);
        let beginning = EventId { purpose, stream: number, number: 0 };
        let (reader, events) = Reader::new(is_primed.then(|| priming(beginning)).into_iter().collect());
        state.readers.insert(number, reader);
        drop(state);
        (Self { session, purpose, number, written: AtomicU64::new(0) }, events)
    }

    /// Opens a stream for notices. It takes over what a paused stream has not delivered, which ends with this.
    pub(super) fn open_notices(
        session: Arc<HttpSession>,
        fresh: impl FnOnce() -> Notices,
    ) -> (Self, Events, Notices) {
        let paused = {
            let mut state = session.streams.state.lock();
            let paused = state.paused.take();
            paused.inspect(|paused| state.replay.end(paused.number, Instant::now()))
        };
        let notices = paused.map_or_else(fresh, |paused| paused.notices);
        let (stream, events) = Self::open(session, Purpose::Notices);
        (stream, events, notices)
    }

    /// Continues the paused stream of the event `last` after that event.
    pub(super) fn reopen(session: &Arc<HttpSession>, last: &str) -> Option<(Self, Events, Notices)> {
        let last = EventId::parse(last)?;
        let mut state = session.streams.state.lock();
        state.paused.as_ref().filter(|paused| paused.number == last.stream)?;
        let missed = state.replay.after(last)?;
        let PausedStream { number, written, notices, .. } = state.paused.take()?;
        let (reader, events) = Reader::new(missed);
        state.readers.insert(number, reader);
        drop(state);
        let session = Arc::clone(session);
        let stream = Self { session, purpose: Purpose::Notices, number, written: AtomicU64::new(written) };
        Some((stream, events, notices))
    }

    /// Keeps the place of a notice stream whose client is gone, unless another connection has taken over: then the
    /// stream and its notices are returned.
    pub(super) fn pause(self, notices: Notices) -> Option<(Self, Notices)> {
        let mut state = self.session.streams.state.lock();
        if state.readers.get(&self.number).is_some_and(|reader| !reader.sender.is_closed()) {
            drop(state);
            return Some((self, notices));
        }
        let (now, written) = (Instant::now(), self.written.load(Ordering::Relaxed));
        let paused = PausedStream { number: self.number, written, since: now, notices };
        state.readers.remove(&self.number);
        if let Some(other) = state.paused.replace(paused) {
            state.replay.end(other.number, now);
        }
        None
    }

    /// Its number in the session.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn writer(self) -> EventWriter {
        EventWriter::resumable(self)
    }

    /// Writes the event that `compose` makes of its id.
    pub(super) async fn event(&self, compose: impl FnOnce(&str) -> Bytes) {
        let number = self.written.fetch_add(1, Ordering::Relaxed) + 1;
        let id = EventId { purpose: self.purpose, stream: self.number, number };
        let event = compose(&id.to_string());
        if let Some(reader) = self.session.streams.record(id, event.clone()) {
            // What is kept to be sent again has a bound of its own.
            reader.take(sent(event)).await;
        }
    }

    /// Writes what only matters to whoever reads now.
    pub(super) async fn passing(&self, text: Bytes) {
        if let Some(reader) = self.session.streams.reader(self.number) {
            reader.take(text).await;
        }
    }

    /// Returns once the connection that read the stream is gone and no other has taken over. Cancel-safe.
    pub(super) async fn unread(&self) {
        while let Some(Reader { sender, replaced }) = self.session.streams.reader(self.number) {
            tokio::select! {
                () = replaced.cancelled() => {}
                () = sender.closed() => return,
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.session.streams.state.lock();
        state.readers.remove(&self.number);
        if state.paused.as_ref().is_none_or(|paused| paused.number != self.number) {
            state.replay.end(self.number, Instant::now());
        }
    }
}

/// Whether the client of `session` knows a first event that only says how to come back (MCP 2025-11-25,
/// basic/transports).
pub(super) fn is_primed(session: &Session) -> bool {
    session.revision >= Revision::V2025_11_25
}

fn priming(beginning: EventId) -> Bytes {
    let mut text = BytesMut::with_capacity(32);
    write_priming(&mut text, &beginning.to_string(), RETRY_MS);
    text.freeze()
}

fn comment() -> Bytes {
    let mut text = BytesMut::with_capacity(4);
    write_comment(&mut text);
    text.freeze()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
