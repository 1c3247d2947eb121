//! Which sessions are open over Streamable HTTP?

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;
use dashmap::mapref::multiple::RefMulti;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::kept_sessions::{File, Kept, Set};
use super::resumable::Streams;
use super::session_id::Ticket;
use crate::protocol::LogLevel;
use crate::router::{Principal, Sealer};
use crate::server::calls::Calls;
use crate::server::error::Error;
use crate::server::session::Session;
use crate::telemetry::process::{OpenSession, session_opened};

/// The table of open sessions.
pub(in crate::server) struct Sessions {
    open: DashMap<String, Arc<HttpSession>>,
    /// Tells the ids of this process from those of others.
    process: String,
    /// What is to be known of sessions by whoever takes them over.
    kept: Mutex<Kept>,
    file: Mutex<Option<File>>,
    /// Notified when there is something to keep.
    stirred: Notify,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            open: DashMap::new(),
            // Without entropy no session is opened either.
            process: new_id().unwrap_or_default(),
            kept: Mutex::default(),
            file: Mutex::default(),
            stirred: Notify::new(),
        }
    }
}

impl Sessions {
    /// Enters a session and names it. `limit` is met to within the handshakes that run at one moment.
    pub(super) fn open(&self, session: Session, limit: usize, sealer: &Sealer) -> Result<String, Error> {
        if self.open.len() >= limit {
            return Err(Error::TooManySessions);
        }
        let ticket = Ticket::of(&session, &self.process);
        let id = ticket.seal(sealer)?;
        let session = HttpSession::new(session, Streams::default(), ticket.opened);
        self.open.insert(id.clone(), Arc::new(session));
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

    /// Takes over a session that another process opened, and what its client set there; `begun` is told of it
    /// before it serves.
    pub(super) fn take_over(
        &self,
        id: &str,
        principal: &Principal,
        limit: usize,
        sealer: &Sealer,
        begun: impl FnOnce(Session) -> Session,
    ) -> Result<(Arc<HttpSession>, Set), Error> {
        let ticket = Ticket::open(sealer, id).filter(|ticket| ticket.is_valid(&self.process));
        let ticket = ticket.ok_or(Error::UnknownSession)?;
        let (revision, capabilities) = ticket.terms(principal).ok_or(Error::UnknownSession)?;
        if self.open.len() >= limit {
            return Err(Error::TooManySessions);
        }
        let set = {
            let mut kept = self.kept.lock();
            if let Some(file) = &mut *self.file.lock() {
                file.look(&mut kept);
            }
            if kept.has_ended(id, ticket.opened) {
                return Err(Error::UnknownSession);
            }
            kept.take(id).unwrap_or_default()
        };
        let first = first_number();
        let session = Session::new(principal.clone(), revision, capabilities, Calls::numbered_from(first));
        if let Some(level) = LogLevel::parse(&set.level) {
            session.set_level(level);
        }
        let session = HttpSession::new(begun(session), Streams::numbered_from(first), ticket.opened);
        let taken = self.open.entry(id.to_owned()).or_insert_with(|| Arc::new(session));
        Ok((Arc::clone(&taken), set))
    }

    /// Ends a session and cancels its calls.
    pub(super) fn end(&self, id: &str, principal: &Principal) -> Result<(), Error> {
        self.get(id, principal)?;
        if let Some((_, ended)) = self.open.remove(id) {
            self.ended(id, &ended);
        }
        Ok(())
    }

    /// Ends the sessions unused for `idle`.
    pub(super) fn sweep(&self, idle: Duration) {
        self.retain(|session| {
            session.streams.sweep();
            session.is_used(idle)
        });
    }

    /// Ends the sessions of everybody whom `is_known` does not know.
    pub(in crate::server) fn end_unless(&self, is_known: impl Fn(&Principal) -> bool) {
        self.retain(|session| is_known(&session.session.principal));
    }

    fn retain(&self, mut keep: impl FnMut(&HttpSession) -> bool) {
        self.open.retain(|id, session| {
            let keep = keep(session);
            if !keep {
                self.ended(id, session);
            }
            keep
        });
    }

    fn ended(&self, id: &str, session: &HttpSession) {
        session.session.calls.end();
        self.kept.lock().end(id, session.opened);
        self.stir();
    }

    pub(in crate::server) fn len(&self) -> usize {
        self.open.len()
    }
}

/// What has to outlive the process.
impl Sessions {
    /// Keeps in `path` what sessions need to go on after a restart; what is there already counts.
    pub(in crate::server) fn keep_in(&self, path: PathBuf) {
        let mut file = File::new(path);
        file.look(&mut self.kept.lock());
        *self.file.lock() = Some(file);
    }

    /// Says that there is something new to keep.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Returns once there is something new to keep.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// Writes what has to be kept. Blocks.
    pub(super) fn write(&self) {
        let set = |entry: &RefMulti<'_, String, Arc<HttpSession>>| {
            let session = entry.value();
            let (level, watches) = (session.session.level_set(), session.session.updates.watched());
            let is_set = level.is_some() || !watches.is_empty();
            let level = level.map(LogLevel::as_str).unwrap_or_default().to_owned();
            is_set.then(|| (entry.key().clone(), Set { opened: session.opened, level, watches }))
        };
        let open = self.open.iter().filter_map(|entry| set(&entry)).collect();
        let mut kept = self.kept.lock();
        let mut file = self.file.lock();
        let Some(file) = &mut *file else { return };
        file.look(&mut kept);
        if let Err(error) = file.write(&kept, open) {
            tracing::warn!(%error, "sessions could not be kept for the next start; is `state_dir` writable?");
        }
    }
}

/// Where streams and questions of a session that was taken over are numbered from: above all that its
/// client has seen.
fn first_number() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| {
        // Milliseconds fit for as long as anybody counts them.
        u64::try_from(since.as_millis()).unwrap_or_default()
    })
}

/// A session and what only HTTP adds to it.
pub(super) struct HttpSession {
    pub(super) session: Session,
    pub(super) streams: Streams,
    /// The open streams for messages that answer nothing, oldest first.
    listening: Mutex<BTreeSet<u64>>,
    last_used: Mutex<Instant>,
    /// When, in seconds since 1970, whichever process it was.
    opened: u64,
    _counted: OpenSession,
}

impl HttpSession {
    fn new(session: Session, streams: Streams, opened: u64) -> Self {
        Self {
            session,
            streams,
            opened,
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
        Arc::new(HttpSession::new(session, Streams::default(), 0))
    }

    fn sealer() -> Sealer {
        Sealer::new(&["key".into()]).unwrap()
    }

    #[test]
    fn a_session_is_unknown_to_everybody_but_its_principal() {
        let sessions = Sessions::default();
        let id = sessions.open(session("ann"), 10, &sealer()).unwrap();
        assert!(sessions.get(&id, &Principal::named("ann")).is_ok());
        assert!(matches!(sessions.get(&id, &Principal::named("bob")), Err(Error::UnknownSession)));
        assert!(sessions.end(&id, &Principal::named("bob")).is_err());
        assert!(sessions.end(&id, &Principal::named("ann")).is_ok());
        assert!(sessions.get(&id, &Principal::named("ann")).is_err());
    }

    #[test]
    fn the_limit_on_sessions_holds() {
        let sessions = Sessions::default();
        sessions.open(session("ann"), 1, &sealer()).unwrap();
        assert!(matches!(sessions.open(session("ann"), 1, &sealer()), Err(Error::TooManySessions)));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sessions_end_and_those_with_a_stream_do_not() {
        const IDLE: Duration = Duration::from_secs(60);
        let (sessions, ann) = (Sessions::default(), Principal::named("ann"));
        let idle = sessions.open(session("ann"), 10, &sealer()).unwrap();
        let streaming = sessions.open(session("ann"), 10, &sealer()).unwrap();
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
    fn the_next_process_takes_a_session_over_for_its_principal_until_it_ends() {
        let same = |session: Session| session;
        let directory = tempfile::tempdir().unwrap();
        let start = || {
            let sessions = Sessions::default();
            sessions.keep_in(directory.path().join("sessions.json"));
            sessions
        };
        let (ann, bob, before) = (Principal::named("ann"), Principal::named("bob"), start());
        let id = before.open(session("ann"), 10, &sealer()).unwrap();
        let ended = before.open(session("ann"), 10, &sealer()).unwrap();
        before.get(&id, &ann).unwrap().session.set_level(LogLevel::parse("debug").unwrap());
        before.end(&ended, &ann).unwrap();
        assert!(before.take_over(&ended, &ann, 10, &sealer(), same).is_err(), "by the process that ended it");
        before.write();

        let after = start();
        assert!(after.take_over(&ended, &ann, 10, &sealer(), same).is_err());
        assert!(after.take_over(&id, &bob, 10, &sealer(), same).is_err());
        assert!(after.take_over(&id, &ann, 10, &Sealer::new(&[]).unwrap(), same).is_err());
        assert!(matches!(after.take_over(&id, &ann, 0, &sealer(), same), Err(Error::TooManySessions)));
        let (taken, _) = after.take_over(&id, &ann, 10, &sealer(), same).unwrap();
        assert_eq!(taken.session.level_set(), LogLevel::parse("debug"));
        after.end(&id, &ann).unwrap();
        after.write();
        assert!(start().take_over(&id, &ann, 10, &sealer(), same).is_err());
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
