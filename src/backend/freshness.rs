//! May the lists of a backend be others than when they were last fetched?
//!
//! | what happened since | what a list request of a client does |
//! |---|---|
//! | the backend said that a list changed, on any of its connections | has it fetched and waits for a moment |
//! | a call was answered, and the list is not vouched for any more | has it fetched and waits for a moment |
//! | nothing, but the `ttlMs` of a modern backend is over | has it fetched and does not wait |
//!
//! A modern backend vouches for a list for its `ttlMs`; a legacy one that declares `listChanged` does until it says
//! that the list changed, any other legacy one not at all. A backend that is not connected is never waited for, and one
//! that was waited for in vain not before it was fetched again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::protocol::{Era, ListKind};

use super::Backend;

/// What has happened at one backend, and up to where its lists show it.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// Notifications that a list changed.
    told: AtomicU64,
    changed: Notify,
    /// Calls that ended.
    calls: AtomicU64,
    fetched: watch::Sender<Option<Fetched>>,
    /// Somebody wants to see the lists as they are now.
    wanted: Notify,
    /// Whether a list waited in vain since the last fetch.
    is_slow: AtomicBool,
}

/// What a fetch shows: everything up to its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetched {
    began: Instant,
    told: u64,
    calls: u64,
}

/// Whether a list has to be fetched again before it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListsDue {
    /// It is as it was fetched.
    Fresh,
    /// It may be another by now; to be fetched in the background.
    Expired,
    /// Something happened that may have changed it; worth a short wait.
    Changed,
}

impl Freshness {
    /// Takes a notification that a list changed.
    pub(super) fn told(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Waits for the next of them.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the end of a call: it may have changed what the backend lists.
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until somebody wants to see the lists as they are now.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    pub(super) fn begin_fetch(&self) -> Fetched {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Fetched { began: Instant::now(), told: count(&self.told), calls: count(&self.calls) }
    }

    pub(super) fn end_fetch(&self, fetched: Fetched) {
        self.is_slow.store(false, Ordering::Relaxed);
        self.fetched.send_replace(Some(fetched));
    }

    /// Waits until a fetch has ended that began after `since`.
    async fn fetched_since(&self, since: Instant) {
        let mut fetched = self.fetched.subscribe();
        let _ = fetched.wait_for(|fetched| fetched.is_some_and(|fetched| fetched.began >= since)).await;
    }

    /// `vouched` is how long the backend vouches for the list without a word, `None` if it says when that is over.
    fn due(&self, vouched: Option<Duration>, era: Era) -> ListsDue {
        let Some(fetched) = *self.fetched.borrow() else { return ListsDue::Fresh };
        let is_told = self.told.load(Ordering::Relaxed) > fetched.told;
        let has_called = self.calls.load(Ordering::Relaxed) > fetched.calls;
        let is_expired = vouched.is_some_and(|vouched| fetched.began.elapsed() >= vouched);
        match is_told || (has_called && is_expired) {
            true if !self.is_slow.load(Ordering::Relaxed) => ListsDue::Changed,
            true => ListsDue::Expired,
            false if is_expired && era == Era::Modern => ListsDue::Expired,
            false => ListsDue::Fresh,
        }
    }
}

impl Backend {
    /// Whether what clients see of this list may be out of date.
    pub fn lists_due(&self, kind: ListKind) -> ListsDue {
        match self.replicas() {
            Some(replicas) => {
                replicas.each().map(|replica| replica.due_alone(kind)).max().unwrap_or(ListsDue::Fresh)
            }
            None => self.due_alone(kind),
        }
    }

    fn due_alone(&self, kind: ListKind) -> ListsDue {
        let (Ok(connection), Some(offer)) = (self.state().connection(), self.offer()) else {
            return ListsDue::Fresh;
        };
        // It has no such list.
        let Some(caching) = offer.caching_of(kind) else { return ListsDue::Fresh };
        let era = connection.revision().era();
        let vouched = match era {
            Era::Modern => Some(Duration::from_millis(caching.ttl_ms)),
            Era::Legacy if connection.agreement().list_may_change(declared_as(kind)) => None,
            Era::Legacy => Some(Duration::ZERO),
        };
        self.watched.freshness.due(vouched, era)
    }

    /// Has the lists fetched as they are now, in the background.
    pub fn want_lists(&self) {
        self.each_replica(Self::want_lists);
        self.watched.freshness.wanted.notify_one();
    }

    /// Waits until a fetch has ended that began after `since`, at each replica that is connected.
    pub async fn lists_fetched(&self, since: Instant) {
        match self.replicas() {
            Some(replicas) => {
                for replica in replicas.each().filter(|replica| replica.state().connection().is_ok()) {
                    replica.fetched_alone(since).await;
                }
            }
            None => self.fetched_alone(since).await,
        }
    }

    async fn fetched_alone(&self, since: Instant) {
        self.watched.freshness.fetched_since(since).await;
    }

    /// Notes that a list waited in vain: no other does before the next fetch.
    pub fn lists_are_slow(&self) {
        self.each_replica(Self::lists_are_slow);
        self.watched.freshness.is_slow.store(true, Ordering::Relaxed);
    }
}

/// The capability that a list belongs to.
fn declared_as(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools => "tools",
        ListKind::Prompts => "prompts",
        ListKind::Resources | ListKind::ResourceTemplates => "resources",
        ListKind::Skills => "skills",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const ZERO: Option<Duration> = Some(Duration::ZERO);
    const LONG: Option<Duration> = Some(Duration::from_secs(3600));

    #[test]
    fn a_list_is_due_after_a_word_of_the_backend_or_a_call_where_nobody_vouches_for_it() {
        let freshness = Freshness::default();
        assert_eq!(freshness.due(ZERO, Era::Modern), ListsDue::Fresh, "nothing was fetched yet");
        freshness.end_fetch(freshness.begin_fetch());
        assert_eq!(freshness.due(ZERO, Era::Modern), ListsDue::Expired);
        assert_eq!(freshness.due(ZERO, Era::Legacy), ListsDue::Fresh);
        freshness.called();
        for (vouched, era, due) in [
            (ZERO, Era::Modern, ListsDue::Changed),
            (LONG, Era::Modern, ListsDue::Fresh),
            (ZERO, Era::Legacy, ListsDue::Changed),
            (None, Era::Legacy, ListsDue::Fresh),
        ] {
            assert_eq!(freshness.due(vouched, era), due, "{vouched:?} {era:?}");
        }
        freshness.told();
        assert_eq!(freshness.due(LONG, Era::Modern), ListsDue::Changed);
        assert_eq!(freshness.due(None, Era::Legacy), ListsDue::Changed);
    }

    #[test]
    fn a_fetch_shows_what_happened_before_it_began_and_a_slow_one_is_not_waited_for() {
        let freshness = Freshness::default();
        freshness.called();
        let fetching = freshness.begin_fetch();
        freshness.called();
        freshness.end_fetch(fetching);
        assert_eq!(freshness.due(ZERO, Era::Legacy), ListsDue::Changed);
        freshness.is_slow.store(true, Ordering::Relaxed);
        assert_eq!(freshness.due(ZERO, Era::Legacy), ListsDue::Expired);
        freshness.end_fetch(freshness.begin_fetch());
        assert_eq!(freshness.due(ZERO, Era::Legacy), ListsDue::Fresh);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_began_earlier_does_not_end_the_wait_for_a_list() {
        const MOMENT: Duration = Duration::from_millis(1);
        let freshness = Freshness::default();
        let earlier = freshness.begin_fetch();
        advance(MOMENT).await;
        let since = Instant::now();
        freshness.end_fetch(earlier);
        assert!(timeout(MOMENT, freshness.fetched_since(since)).await.is_err());
        let fetching = async {
            let later = freshness.begin_fetch();
            advance(MOMENT).await;
            freshness.end_fetch(later);
        };
        let waiting = timeout(MOMENT * 10, freshness.fetched_since(since));
        assert!(tokio::join!(waiting, fetching).0.is_ok());
    }
}
