//! Which sessions are open over Streamable HTTP?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dashmap::mapref::multiple::RefMulti;
use dashmap::{DashMap, Entry};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::http_session::HttpSession;
use super::kept_sessions::Set;
use super::session_id::{Ticket, new_id};
use super::session_shares::{SessionClaim, SessionShares};
use super::session_store::SessionStore;
use crate::protocol::LogLevel;
use crate::resilience::{Holder, Share};
use crate::router::{Principal, Sealer};
use crate::server::calls::Calls;
use crate::server::error::Error;
use crate::server::session::Session;
use crate::telemetry::process;

/// A session that was unused for so long makes room for a new one where there is none.
const SPARE: Duration = Duration::from_secs(60);
/// So many at once do, and are looked for that often, because all are looked at.
const AT_ONCE: usize = 64;
const SEARCH: Duration = Duration::from_secs(1);
/// Sessions that are compared when one of them has to go: those of the largest holder have their turn one after another.
const SAMPLE: usize = 32;
/// Others may take the room that was made, but not for ever.
const TRIES: usize = 8;

/// The table of open sessions.
pub(in crate::server) struct Sessions {
    open: DashMap<String, Arc<HttpSession>>,
    /// Locked before `open`, never after.
    shares: Mutex<SessionShares>,
    /// When room was last looked for.
    searched: Mutex<Option<Instant>>,
    /// Tells the ids of this process from those of others.
    process: String,
    /// What is to be known of sessions by whoever takes them over.
    store: SessionStore,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            open: DashMap::new(),
            shares: Mutex::default(),
            searched: Mutex::default(),
            // Without entropy no session is opened either.
            process: new_id().unwrap_or_default(),
            store: SessionStore::default(),
        }
    }
}

impl Sessions {
    /// Enters a session and names it.
    pub(super) fn open(
        &self,
        session: Session,
        claim: SessionClaim,
        sealer: &Sealer,
    ) -> Result<String, Error> {
        self.admit(&claim)?;
        let ticket = Ticket::of(&session, &self.process);
        let id = ticket.seal(sealer).inspect_err(|_| self.shares.lock().give_back(&claim.holder))?;
        let session = HttpSession::new(session, claim.holder, 0, ticket.opened);
        self.enter(&id, session);
        Ok(id)
    }

    /// Enters a session that was counted, unless another request was faster.
    fn enter(&self, id: &str, session: HttpSession) -> Arc<HttpSession> {
        // Locked before the table, as by whoever looks for a session that gives way.
        let mut shares = self.shares.lock();
        match self.open.entry(id.to_owned()) {
            Entry::Occupied(entered) => {
                shares.give_back(&session.holder);
                Arc::clone(entered.get())
            }
            Entry::Vacant(vacant) => {
                session.take_turn(shares.enter(&session.holder, id));
                Arc::clone(&vacant.insert(Arc::new(session)))
            }
        }
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
        claim: SessionClaim,
        sealer: &Sealer,
        begun: impl FnOnce(Session) -> Session,
    ) -> Result<(Arc<HttpSession>, Set), Error> {
        let ticket = Ticket::open(sealer, id).filter(|ticket| ticket.is_valid(&self.process));
        let ticket = ticket.ok_or(Error::UnknownSession)?;
        let (revision, capabilities) = ticket.terms(principal).ok_or(Error::UnknownSession)?;
        self.admit(&claim)?;
        let set = self.store.take(id, ticket.opened);
        let Some(set) = set else {
            self.shares.lock().give_back(&claim.holder);
            return Err(Error::UnknownSession);
        };
        let first = first_number();
        let session = Session::new(principal.clone(), revision, capabilities, Calls::numbered_from(first));
        let taken = self.enter(id, HttpSession::new(begun(session), claim.holder, first, ticket.opened));
        // Another request may have been faster with the session, but only one was given what is set.
        if let Some(level) = LogLevel::parse(&set.level) {
            taken.session.set_level(level);
        }
        Ok((taken, set))
    }

    /// Counts one more session. Where there are as many as may be, one of the holder that has most gives way.
    fn admit(&self, claim: &SessionClaim) -> Result<(), Error> {
        for _ in 0..TRIES {
            let share = self.shares.lock().admit(claim);
            let has_room = match share {
                Share::Admitted => return Ok(()),
                Share::Evict(largest) => self.evict(&largest),
                Share::Reject => self.make_room(&claim.holder),
            };
            if !has_room {
                break;
            }
        }
        Err(Error::TooManySessions)
    }

    /// Ends the session of `holder` that was unused for longest, of some that have their turn; one with a call last.
    fn evict(&self, holder: &Holder) -> bool {
        let mut least: Option<((bool, Instant), String)> = None;
        // One that is ending makes room too.
        let mut is_ending = false;
        {
            let mut shares = self.shares.lock();
            for (id, turn) in shares.next_turns(holder, SAMPLE) {
                let Some(session) = self.open.get(&id).map(|entry| Arc::clone(&entry)) else {
                    shares.drop_turn(holder, turn);
                    is_ending = true;
                    continue;
                };
                session.take_turn(turn);
                let use_of = (session.session.calls.len() > 0, session.last_used());
                if least.as_ref().is_none_or(|(other, _)| use_of < *other) {
                    least = Some((use_of, id));
                }
            }
        }
        least.map_or(is_ending, |(_, id)| self.remove(&id, |_| true))
    }

    /// Ends the sessions that were unused for longest, of holders that have no fewer than `holder`: clients that open
    /// one for each call and end none must not keep all others out.
    fn make_room(&self, holder: &Holder) -> bool {
        {
            let mut searched = self.searched.lock();
            if searched.is_some_and(|searched| searched.elapsed() < SEARCH) {
                return false;
            }
            *searched = Some(Instant::now());
        }
        let larger = self.shares.lock().at_least_as_large(holder);
        let spare =
            self.open.iter().filter(|session| !session.is_used(SPARE) && larger.contains(&session.holder));
        let mut spare: Vec<_> = spare.map(|session| (session.last_used(), session.key().clone())).collect();
        spare.sort_unstable();
        let ended = spare
            .into_iter()
            .take(AT_ONCE)
            .filter(|(_, id)| self.remove(id, |session| !session.is_used(SPARE)));
        ended.count() > 0
    }

    /// Ends a session to make room, if it may still go.
    fn remove(&self, id: &str, may_go: impl FnOnce(&HttpSession) -> bool) -> bool {
        let removed = self.open.remove_if(id, |_, session| may_go(session));
        if removed.is_some() {
            process::evicted("sessions");
        }
        removed.inspect(|(id, session)| self.ended(id, session)).is_some()
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

    fn retain(&self, keep: impl Fn(&HttpSession) -> bool) {
        let over = self.open.iter().filter(|session| !keep(session)).map(|session| session.key().clone());
        for id in over.collect::<Vec<_>>() {
            if let Some((id, session)) = self.open.remove_if(&id, |_, session| !keep(session)) {
                self.ended(&id, &session);
            }
        }
    }

    /// For a session that is in the table no more, and while nothing of the table is locked.
    fn ended(&self, id: &str, session: &HttpSession) {
        self.shares.lock().leave(&session.holder, session.turn());
        session.session.calls.end();
        self.store.end(id, session.opened);
    }

    pub(in crate::server) fn len(&self) -> usize {
        self.open.len()
    }
}

/// What has to outlive the process.
impl Sessions {
    /// Keeps in `path` what sessions need to go on after a restart; what is there already counts.
    pub(in crate::server) fn keep_in(&self, path: PathBuf) {
        self.store.keep_in(path);
    }

    /// Says that there is something new to keep.
    pub(super) fn stir(&self) {
        self.store.stir();
    }

    /// Returns once there is something new to keep.
    pub(super) async fn stirred(&self) {
        self.store.stirred().await;
    }

    /// Writes what has to be kept. Blocks.
    pub(super) fn write(&self) {
        let set = |entry: RefMulti<'_, String, Arc<HttpSession>>| {
            let set = entry.set()?;
            Some((entry.key().clone(), set))
        };
        self.store.write(|| self.open.iter().filter_map(set).collect());
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
