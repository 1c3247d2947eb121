//! For what does a list or a handshake wait? For nothing, with two exceptions, both bounded.
//!
//! While the very first attempt to reach a backend is under way and no copy of what it offers is kept, the first lists
//! and handshakes wait for it: a client that lists once, right after it started the gateway, would see no tools. They
//! wait for all such backends together, until one deadline that the first of them sets.
//!
//! When something happened at a backend that may have changed its lists, a list request has them fetched and waits for
//! [`REFETCH_WAIT`] at most: a tool that adds a resource, and then a list, shows the resource. What is late is shown by
//! the next list, and `list_changed` tells of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::router::Router;
use crate::backend::{Backend, ListsDue};
use crate::protocol::ListKind;

/// Longest wait of a list for a backend whose lists may have changed.
const REFETCH_WAIT: Duration = Duration::from_millis(500);

/// When lists and handshakes stop to wait for first attempts; set by the first that waits.
#[derive(Debug, Default)]
pub(super) struct FirstWait(OnceLock<Instant>);

impl Router {
    /// What a list, or without one a handshake, has to wait for; `None`, as nearly always, if that is nothing.
    pub fn settling(
        self: &Arc<Self>,
        list: Option<ListKind>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let since = Instant::now();
        let (starting, deadline) = self.first_attempts(since);
        let changed = list.map(|kind| self.changed(kind)).unwrap_or_default();
        if starting.is_empty() && changed.is_empty() {
            self.refresh_if_reached();
            return None;
        }
        let router = Arc::clone(self);
        Some(async move {
            let fetched = router.await_lists(since, changed);
            tokio::join!(router.await_until(deadline, starting), fetched);
            router.refresh_if_due();
        })
    }

    /// The first attempts to wait for, and until when.
    fn first_attempts(&self, now: Instant) -> (Vec<Arc<Backend>>, Instant) {
        let starting = self.starting();
        if starting.is_empty() {
            return (starting, now);
        }
        let wait = self.settings().first_list_wait;
        let deadline = *self.first_wait().0.get_or_init(|| now + wait);
        if deadline > now { (starting, deadline) } else { (Vec::new(), now) }
    }

    /// The backends whose list may have changed. That of any whose list has expired is fetched again.
    fn changed(&self, kind: ListKind) -> Vec<Arc<Backend>> {
        let mut changed = Vec::new();
        for member in self.fleet().members() {
            let due = member.backend.lists_due(kind);
            if due != ListsDue::Fresh {
                member.backend.want_lists();
            }
            if due == ListsDue::Changed {
                changed.push(Arc::clone(&member.backend));
            }
        }
        changed
    }

    async fn await_lists(&self, since: Instant, changed: Vec<Arc<Backend>>) {
        for backend in changed {
            if !is_in_time(since, backend.lists_fetched(since)).await {
                backend.lists_are_slow();
            }
        }
    }

    /// Waits for the first attempt to reach a backend, no longer than the first lists do.
    pub(super) async fn await_first_attempt(&self, backend: Arc<Backend>) {
        let deadline = Instant::now() + self.settings().first_list_wait;
        self.await_until(deadline, vec![backend]).await;
    }

    async fn await_until(&self, deadline: Instant, starting: Vec<Arc<Backend>>) {
        for backend in &starting {
            // All of them are being reached meanwhile: waiting for one after the other takes no longer.
            if timeout_at(deadline, backend.first_result()).await.is_err() {
                break;
            }
        }
        self.refresh_if_due();
    }

    /// The backends of which nothing is known while the first attempt to reach them is under way.
    fn starting(&self) -> Vec<Arc<Backend>> {
        let fleet = self.fleet();
        let unknown = fleet.members().iter().filter(|member| member.is_unknown());
        unknown.map(|member| Arc::clone(&member.backend)).filter(|backend| backend.is_starting()).collect()
    }
}

/// Waits for a fetch on behalf of a list that was asked for at `since`; `false` if the list cannot wait any longer.
async fn is_in_time(since: Instant, fetched: impl Future<Output = ()>) -> bool {
    timeout_at(since + REFETCH_WAIT, fetched).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_waits_for_a_moment_whatever_number_of_backends_is_late() {
        let since = Instant::now();
        assert!(is_in_time(since, sleep(REFETCH_WAIT / 2)).await);
        assert_eq!(since.elapsed(), REFETCH_WAIT / 2, "it waits no longer than the fetch takes");
        for _ in 0..3 {
            assert!(!is_in_time(since, pending()).await);
        }
        assert!(since.elapsed() <= REFETCH_WAIT + Duration::from_millis(1), "{:?}", since.elapsed());
        assert!(is_in_time(since, async {}).await, "what was fetched meanwhile is shown");
    }
}
