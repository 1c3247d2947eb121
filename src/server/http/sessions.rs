//! Which sessions are open over Streamable HTTP?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::resumable::Streams;
use crate::router::Principal;
use crate::server::error::Error;
use crate::server::session::Session;
use crate::telemetry::process::{OpenSession, session_opened};

/// The table of open sessions.
#[derive(Default)]
pub(in crate::server) struct Sessions {
    open: DashMap<String, Arc<HttpSession>>,
}

impl Sessions {
    /// Enters a session and names it. `limit` is met to within the handshakes that run at one moment.
    pub(super) fn open(&self, session: Session, limit: usize) -> Result<String, Error> {
        if self.open.len() >= limit {
            return Err(Error::TooManySessions);
        }
        let id = new_id()?;
        self.open.insert(id.clone(), Arc::new(HttpSession::new(session)));
        Ok(id)
    }

    /// The session `id`, used now. Somebody else's is as unknown as none.
    pub(super) fn get(&self, id: &str, principal: &Principal) -> Result<Arc<HttpSession>, Error> {
        let found = self.open.get(id).map(|entry| Arc::clone(&entry));
        let found =
            found.filter(|found| found.session.principal == *principal).ok_or(Error::UnknownSession)?;
        found.touch();
        Ok(found)
    }

    /// Ends a session and cancels its calls.
    pub(super) fn end(&self, id: &str, principal: &Principal) -> Result<(), Error> {
        self.get(id, principal)?;
        if let Some((_, ended)) = self.open.remove(id) {
            ended.session.calls.end();
        }
        Ok(())
    }

    /// Ends the sessions unused for `idle`.
    pub(super) fn sweep(&self, idle: Duration) {
        self.open.retain(|_, session| {
            session.streams.sweep();
            let keep = session.is_used(idle);
            if !keep {
                session.session.calls.end();
            }
            keep
        });
    }

    /// Ends the sessions of everybody whom `is_known` does not know.
    pub(in crate::server) fn end_unless(&self, is_known: impl Fn(&Principal) -> bool) {
        self.open.retain(|_, session| {
            let keep = is_known(&session.session.principal);
            if !keep {
                session.session.calls.end();
            }
            keep
        });
    }

    pub(in crate::server) fn len(&self) -> usize {
        self.open.len()
    }
}

/// A session and what only HTTP adds to it.
pub(super) struct HttpSession {
    pub(super) session: Session,
    pub(super) streams: Streams,
    /// The open streams for messages that answer nothing, oldest first.
    listening: Mutex<BTreeSet<u64>>,
    last_used: Mutex<Instant>,
    _counted: OpenSession,
}

impl HttpSession {
    fn new(session: Session) -> Self {
        Self {
            session,
            streams: Streams::default(),
            listening: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
            _counted: session_opened("http"),
        }
    }

    fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    fn is_used(&self, idle: Duration) -> bool {
        self.session.calls.len() > 0
            || !self.listening.lock().is_empty()
            || self.last_used.lock().elapsed() < idle
    }

    /// Counts a stream as one for messages that answer nothing for as long as the guard lives.
    pub(super) fn listen(self: Arc<Self>, stream: u64) -> OpenStream {
        self.listening.lock().insert(stream);
        OpenStream { session: self, stream }
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
}

impl OpenStream {
    /// Whether a message for the session goes here: on one stream only, which is the newest that is read, or
    /// the newest if none is, because its client may come back.
    pub(super) fn is_newest(&self) -> bool {
        let listening = self.session.listening.lock();
        let chosen = listening.iter().max_by_key(|stream| (self.session.streams.is_read(**stream), **stream));
        chosen == Some(&self.stream)
    }

    /// Returns once the session ended.
    pub(super) async fn session_ended(&self) {
        self.session.session.calls.ended().await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.session.listening.lock().remove(&self.stream);
        self.session.touch();
    }
}

/// 192 random bits in visible ASCII.
pub(super) fn new_id() -> Result<String, Error> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| Error::TooManySessions)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::protocol::{RawJson, Revision};
    use crate::server::calls::Calls;
    use crate::server::http::replay::Purpose;
    use crate::server::http::resumable::Stream;

    fn session(principal: &str) -> Session {
        let principal = Principal::named(principal);
        Session::new(principal, Revision::LATEST_LEGACY, RawJson::empty_object(), Calls::new())
    }

    pub(in crate::server::http) fn http_session(revision: Revision) -> Arc<HttpSession> {
        let principal = Principal::named("ann");
        let session = Session::new(principal, revision, RawJson::empty_object(), Calls::new());
        Arc::new(HttpSession::new(session))
    }

    #[test]
    fn a_session_is_unknown_to_everybody_but_its_principal() {
        let sessions = Sessions::default();
        let id = sessions.open(session("ann"), 10).unwrap();
        assert!(sessions.get(&id, &Principal::named("ann")).is_ok());
        assert!(matches!(sessions.get(&id, &Principal::named("bob")), Err(Error::UnknownSession)));
        assert!(sessions.end(&id, &Principal::named("bob")).is_err());
        assert!(sessions.end(&id, &Principal::named("ann")).is_ok());
        assert!(sessions.get(&id, &Principal::named("ann")).is_err());
    }

    #[test]
    fn the_limit_on_sessions_holds() {
        let sessions = Sessions::default();
        sessions.open(session("ann"), 1).unwrap();
        assert!(matches!(sessions.open(session("ann"), 1), Err(Error::TooManySessions)));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sessions_end_and_those_with_a_stream_do_not() {
        const IDLE: Duration = Duration::from_secs(60);
        let (sessions, ann) = (Sessions::default(), Principal::named("ann"));
        let idle = sessions.open(session("ann"), 10).unwrap();
        let streaming = sessions.open(session("ann"), 10).unwrap();
        let stream = sessions.get(&streaming, &ann).unwrap().listen(0);
        tokio::time::advance(IDLE).await;
        sessions.sweep(IDLE);
        assert!(sessions.get(&idle, &ann).is_err());
        assert!(sessions.get(&streaming, &ann).is_ok());
        drop(stream);
        tokio::time::advance(IDLE).await;
        sessions.sweep(IDLE);
        assert_eq!(sessions.len(), 0);
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
        assert!(old.is_newest());
    }
}
