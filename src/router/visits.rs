//! Who is told that a page has been visited?
//!
//! A server of 2025-11-25 gives each page that it sends a person to an id, and says when the person is done, in
//! the call or after it (client/elicitation, URL mode). Only the session that was given the id hears of it. A
//! modern server never says so: for it the gateway does, once the call that was made again is answered.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::protocol::{Era, RawJson, Revision, method, question};

use super::convert::pages;
use super::driver::Driver;
use super::exchange::Event;
use super::router::Router;
use super::session::{SessionHold, SessionId};
use super::subscriptions::Mailbox;
use super::updates::Updates;

/// How long a person may take for a page.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Pages that are waited for at a time, and the longest id of one, in bytes.
const MAX_PAGES: usize = 4096;
const MAX_ID: usize = 512;

/// A backend's name, and its own id of the page.
type Page = (Arc<str>, String);

/// The pages that backends sent legacy clients to, and the sessions to be told.
#[derive(Debug, Default)]
pub(super) struct Visits {
    expected: Mutex<HashMap<Page, Expected>>,
    mailboxes: Mutex<HashMap<SessionId, Weak<Mailbox>>>,
}

#[derive(Debug)]
struct Expected {
    /// `None` once two sessions were given the same id: then nobody can tell whose it is.
    session: Option<SessionId>,
    since: Instant,
}

impl Visits {
    /// Notes that `session` was sent to a page. Beyond the bound the oldest notes are of no use, and a new one is
    /// not made.
    pub(super) fn expect(&self, backend: &Arc<str>, id: String, session: SessionId) {
        if id.len() > MAX_ID {
            return;
        }
        let mut expected = self.expected.lock();
        if expected.len() >= MAX_PAGES {
            expected.retain(|_, page| page.since.elapsed() < PATIENCE);
        }
        let is_full = expected.len() >= MAX_PAGES;
        match expected.get_mut(&(Arc::clone(backend), id.clone())) {
            Some(page) if page.session == Some(session) => page.since = Instant::now(),
            Some(page) => page.session = None,
            None if is_full => {}
            None => {
                let page = Expected { session: Some(session), since: Instant::now() };
                expected.insert((Arc::clone(backend), id), page);
            }
        }
    }

    /// Whose page it was; each is told once.
    fn take(&self, backend: &str, id: &str) -> Option<SessionId> {
        let page = self.expected.lock().remove(&(Arc::from(backend), id.to_owned()))?;
        page.session.filter(|_| page.since.elapsed() < PATIENCE)
    }

    fn tell(&self, session: SessionId, id: &str) {
        let mailbox = self.mailboxes.lock().get(&session).and_then(Weak::upgrade);
        if let Some(mailbox) = mailbox {
            mailbox.put_visited(id.into());
        }
    }

    fn join(&self, session: SessionId, mailbox: &Arc<Mailbox>) {
        self.mailboxes.lock().insert(session, Arc::downgrade(mailbox));
    }

    /// The session is over.
    pub(super) fn forget(&self, session: SessionId) {
        self.mailboxes.lock().remove(&session);
        self.expected.lock().retain(|_, page| page.session != Some(session));
    }
}

impl SessionHold {
    /// Has the session hear, through its `updates`, of the pages its client visited.
    pub fn hears(&self, updates: &Updates) {
        self.router().visits().join(self.id(), updates.mailbox());
    }
}

impl Router {
    /// Has `backend` report here which pages were visited.
    pub(super) fn hear_visits(self: &Arc<Self>, backend: &Backend) {
        let (router, name) = (Arc::downgrade(self), backend.name().to_owned());
        backend.on_visited(Box::new(move |id| {
            let Some(router) = router.upgrade() else { return };
            if let Some(session) = router.visits().take(&name, id) {
                router.visits().tell(session, id);
            }
        }));
    }
}

impl Driver {
    /// Notes the page that a question sends this client to.
    pub(super) fn expect_page(&self, backend: &Arc<str>, name: &str, params: Option<&RawJson>) {
        if name == question::ELICIT
            && let Some(params) = params
        {
            self.expect(backend, params);
        }
    }

    /// Notes the pages that an error sends this client to.
    pub(super) fn expect_pages(&self, backend: &Arc<str>, outcome: &Result<RawJson, RawJson>) {
        if let Err(error) = outcome
            && self.inbound.caller.revision == Revision::V2025_11_25
        {
            pages(error).iter().flatten().for_each(|page| self.expect(backend, page));
        }
    }

    fn expect(&self, backend: &Arc<str>, page: &RawJson) {
        let caller = &self.inbound.caller;
        let Some(session) = caller.session.filter(|_| caller.revision.era() == Era::Legacy) else { return };
        let is_url = page.get("mode").is_some_and(|mode| mode.string().as_deref() == Some("url"));
        let id = page.get("elicitationId").filter(|_| is_url);
        if let Some(id) = id.as_ref().and_then(RawJson::string) {
            self.router.visits().expect(backend, id.into_owned(), session);
        }
    }

    /// A backend says in the middle of a call that a page was visited: this client's own pages are told on the
    /// call's stream, any other's to whom they belong.
    pub(super) fn page_visited(&self, backend: &str, params: Option<RawJson>) -> Option<Event> {
        let params = params?;
        let id = params.get("elicitationId")?.string()?.into_owned();
        let session = self.router.visits().take(backend, &id)?;
        if Some(session) == self.inbound.caller.session {
            return Some(Event::Notification {
                method: method::ELICITATION_COMPLETE.into(),
                params: Some(params),
            });
        }
        self.router.visits().tell(session, &id);
        None
    }

    /// A modern backend has answered the call that was made again: the pages that were visited for it are done.
    pub(super) fn pages_done(&mut self) {
        for id in std::mem::take(&mut self.visited) {
            let params = RawJson::of(&json!({ "elicitationId": id }));
            self.due.push_back(Event::Notification {
                method: method::ELICITATION_COMPLETE.into(),
                params: Some(params),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> (Visits, Arc<str>, [SessionId; 2]) {
        (Visits::default(), "b".into(), [SessionId::of(1), SessionId::of(2)])
    }

    #[test]
    fn a_page_belongs_to_the_session_that_was_sent_there_and_is_told_once() {
        let (visits, b, [ann, bob]) = scene();
        visits.expect(&b, "e1".to_owned(), ann);
        visits.expect(&b, "e2".to_owned(), bob);
        assert_eq!((visits.take("other", "e1"), visits.take("b", "e3")), (None, None));
        assert_eq!((visits.take("b", "e1"), visits.take("b", "e1")), (Some(ann), None));
        assert_eq!(visits.take("b", "e2"), Some(bob));
    }

    #[test]
    fn an_id_that_two_sessions_were_given_is_told_to_neither() {
        let (visits, b, [ann, bob]) = scene();
        for session in [ann, ann, bob] {
            visits.expect(&b, "e1".to_owned(), session);
        }
        assert_eq!(visits.take("b", "e1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_bounded_and_forgotten_with_their_session_or_in_time() {
        let (visits, b, [ann, bob]) = scene();
        for n in 0..=MAX_PAGES {
            visits.expect(&b, n.to_string(), ann);
        }
        assert_eq!(visits.take("b", &MAX_PAGES.to_string()), None);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(visits.take("b", "0"), None);
        visits.expect(&b, "e1".to_owned(), bob);
        assert_eq!(visits.expected.lock().len(), MAX_PAGES);
        visits.expect(&b, "e2".to_owned(), bob);
        visits.forget(bob);
        assert!(visits.expected.lock().len() <= MAX_PAGES);
        assert_eq!((visits.take("b", "e1"), visits.take("b", "e2")), (None, None));
    }
}
