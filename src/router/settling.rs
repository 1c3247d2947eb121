//! For what does a list or a handshake wait? For nothing, with one exception.
//!
//! While the very first attempt to reach a backend is under way and no copy of what it offers is kept, the first lists
//! and handshakes wait for it: a client that lists once, right after it started the gateway, would see no tools. They
//! wait for all such backends together, until one deadline that the first of them sets.

use std::sync::{Arc, OnceLock};

use tokio::time::{Instant, timeout_at};

use super::router::Router;
use crate::backend::Backend;

/// When lists and handshakes stop to wait for first attempts; set by the first that waits.
#[derive(Debug, Default)]
pub(super) struct FirstWait(OnceLock<Instant>);

impl Router {
    /// What the next list or handshake has to wait for; `None`, as nearly always, if that is nothing.
    pub fn settling(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + use<>> {
        let starting = self.starting();
        if starting.is_empty() {
            return None;
        }
        let wait = self.settings().first_list_wait;
        let deadline = *self.first_wait().0.get_or_init(|| Instant::now() + wait);
        let router = Arc::clone(self);
        let settled = async move { router.await_until(deadline, starting).await };
        (Instant::now() < deadline).then_some(settled)
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
