//! What does HTTP add to a session?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::kept_sessions::Set;
use super::resumable::Streams;
use crate::protocol::LogLevel;
use crate::resilience::Holder;
use crate::server::session::Session;
use crate::telemetry::process::{OpenSession, session_opened};

/// Streams for messages that answer nothing which a session may have open. Clients have one, and a second while they
/// reconnect.
const MAX_NOTICE_STREAMS: usize = 8;

/// A session and what only HTTP adds to it.
pub(super) struct HttpSession {
    pub(super) session: Session,
    pub(super) streams: Streams,
    /// The open streams for messages that answer nothing, oldest first, and what ends each to make room.
    listening: Mutex<BTreeMap<u64, CancellationToken>>,
    last_used: Mutex<Instant>,
    pub(super) holder: Holder,
    /// When it is looked at if one of its holder's sessions has to go.
    turn: AtomicU64,
    /// When it began, in seconds since 1970, whichever process it was.
    pub(super) opened: u64,
    _counted: OpenSession,
}

impl HttpSession {
    /// Its streams are numbered from `first` on.
    pub(super) fn new(session: Session, holder: Holder, first: u64, opened: u64) -> Self {
        Self {
            session,
            streams: Streams::numbered_from(first, holder.clone()),
            opened,
            holder,
            turn: AtomicU64::new(0),
            listening: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
            _counted: session_opened("http"),
        }
    }

    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    pub(super) fn take_turn(&self, turn: u64) {
        self.turn.store(turn, Ordering::Relaxed);
    }

    pub(super) fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    pub(super) fn last_used(&self) -> Instant {
        *self.last_used.lock()
    }

    /// Whether it has a call or a stream, or had one less than `idle` ago.
    pub(super) fn is_used(&self, idle: Duration) -> bool {
        self.session.calls.len() > 0
            || !self.listening.lock().is_empty()
            || self.last_used.lock().elapsed() < idle
    }

    /// What its client set, if anything.
    pub(super) fn set(&self) -> Option<Set> {
        let (level, watches) = (self.session.level_set(), self.session.updates.watched());
        let is_set = level.is_some() || !watches.is_empty();
        let level = level.map(LogLevel::as_str).unwrap_or_default().to_owned();
        is_set.then_some(Set { opened: self.opened, level, watches })
    }

    /// Counts a stream as one for messages that answer nothing for as long as the guard lives. Beyond the bound the
    /// oldest gives way.
    pub(super) fn listen(self: Arc<Self>, stream: u64) -> OpenStream {
        let displaced = CancellationToken::new();
        let mut listening = self.listening.lock();
        listening.insert(stream, displaced.clone());
        while listening.len() > MAX_NOTICE_STREAMS {
            let Some((_, oldest)) = listening.pop_first() else { break };
            oldest.cancel();
        }
        drop(listening);
        OpenStream { session: self, stream, displaced }
    }
}

impl AsRef<Session> for HttpSession {
    fn as_ref(&self) -> &Session {
        &self.session
    }
}

/// One open stream of a session.
pub(super) struct OpenStream {
    session: Arc<HttpSession>,
    stream: u64,
    displaced: CancellationToken,
}

impl OpenStream {
    /// Whether a message for the session goes here: on one stream only, which is the newest that is read, or
    /// the newest if none is, because its client may come back.
    pub(super) fn is_newest(&self) -> bool {
        let listening = self.session.listening.lock();
        let newest = listening.keys().max_by_key(|stream| (self.session.streams.is_read(**stream), **stream));
        newest == Some(&self.stream)
    }

    /// Whether the session has no other stream for messages that answer nothing.
    pub(super) fn is_only(&self) -> bool {
        self.session.listening.lock().keys().all(|stream| *stream == self.stream)
    }

    /// Returns once the session ended, or the stream has to make room for newer ones.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.session.session.calls.ended() => {}
            () = self.displaced.cancelled() => {}
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.session.listening.lock().remove(&self.stream);
        self.session.touch();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::protocol::{RawJson, Revision};
    use crate::router::Principal;
    use crate::server::calls::Calls;
    use crate::server::http::replay::Purpose;
    use crate::server::http::resumable::Stream;

    pub(in crate::server::http) fn http_session(revision: Revision) -> Arc<HttpSession> {
        let principal = Principal::named("ann");
        let session = Session::new(principal, revision, RawJson::empty_object(), Calls::new());
        Arc::new(HttpSession::new(session, Holder::Principal("ann".into()), 0, 0))
    }

    #[test]
    fn messages_go_to_the_newest_stream_that_is_read() {
        let session = http_session(Revision::LATEST_LEGACY);
        let open = || {
            let (stream, events) = Stream::open(Arc::clone(&session), Purpose::Notices);
            (Arc::clone(&session).listen(stream.number()), stream, events)
        };
        let (old, _old_stream, old_events) = open();
        let (new, _new_stream, new_events) = open();
        assert!(new.is_newest() && !old.is_newest());
        drop(new_events);
        assert!(old.is_newest() && !new.is_newest());
        drop(old_events);
        assert!(new.is_newest(), "nobody reads: the newest keeps it for a client that comes back");
        drop(new);
        assert!(old.is_newest() && old.is_only());
    }

    #[tokio::test]
    async fn beyond_the_bound_the_oldest_stream_gives_way() {
        let session = http_session(Revision::LATEST_LEGACY);
        let open: Vec<_> = (0..=MAX_NOTICE_STREAMS as u64).map(|n| Arc::clone(&session).listen(n)).collect();
        assert_eq!(session.listening.lock().len(), MAX_NOTICE_STREAMS);
        assert!(open[0].displaced.is_cancelled() && !open[1].displaced.is_cancelled());
        open[0].ended().await;
        drop(open);
        assert!(session.listening.lock().is_empty());
    }
}
