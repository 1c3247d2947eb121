//! What do clients talk to: both eras of MCP over HTTP, HTTP+SSE and stdio, and the operators' endpoint.
//!
//! | file | the question it answers |
//! |---|---|
//! | `http/` | how does a request become an answer over HTTP, and who may send one? |
//! | `duplex/` | how do many requests share one stream: stdio, HTTP+SSE? |
//! | `modern.rs` | what must a stateless request say, and what answers it? |
//! | `legacy.rs` | how is a session opened, and what answers its requests? |
//! | `session.rs`, `calls.rs` | what does a session remember, and which of its calls are running? |
//! | `batch.rs` | how is a 2025-03-26 batch answered? |
//! | `bounds.rs` | how full is what all clients share? |
//! | `answers.rs` | what does the gateway answer by itself? |
//! | `notices.rs`, `subscription.rs` | what is a client told that answers nothing: in a session, on a `subscriptions/listen`? |
//! | `auth.rs`, `policy.rs` | who is calling, and what may they do here? |
//! | `caught.rs` | what becomes of a panic? |
//! | `error.rs` | what is a refusal on the wire? |
//! | `refusal_log.rs` | which refused requests are logged? |
//! | `request_id.rs` | what is this request called in logs and errors? |
//! | `settings.rs` | what can an operator set? |

mod answers;
mod auth;
mod batch;
mod bounds;
mod calls;
mod caught;
mod duplex;
mod error;
mod http;
mod legacy;
mod modern;
mod notices;
mod policy;
mod refusal_log;
mod request_id;
mod session;
mod settings;
mod subscription;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use auth::new_token;
pub use duplex::serve_stdio;
pub use http::{Admin, serve, serve_admin};
pub use settings::{AdminSettings, ClientSettings, LimitSettings, ServerSettings};

use crate::budget;
use crate::router::{Principal, Router};
use policy::Policy;

/// For what is left at the end of the drain to be dropped: it ends at its next turn, and the processes that it
/// borrowed are ended by tasks that need the thread it is dropped on. What does not take its turn is left behind.
const DROPPED: Duration = Duration::from_secs(1);

/// Everything that clients of one gateway share.
pub struct Server {
    router: Arc<Router>,
    policy: ArcSwap<Policy>,
    /// Changes after the policy did.
    reconfigured: watch::Sender<()>,
    /// Those of clients, once they are listened for.
    connections: OnceLock<Arc<http::Connections>>,
    sessions: http::Sessions,
    pairs: http::Pairs,
    request_ids: request_id::RequestIds,
    /// Work that outlives the connection that asked for it.
    tasks: TaskTracker,
    /// Cancelled when the gateway is about to drain.
    leaving: CancellationToken,
    /// Cancelled when the gateway begins to drain.
    shutdown: CancellationToken,
    /// Cancelled when draining took too long.
    killed: CancellationToken,
    started: Instant,
}

impl Server {
    /// A server that drains once `shutdown` is cancelled.
    pub fn new(
        router: Arc<Router>,
        settings: &ServerSettings,
        clients: &BTreeMap<String, ClientSettings>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        budget::limit(settings.limits.buffered_bytes);
        Arc::new(Self {
            router,
            policy: ArcSwap::from_pointee(Policy::new(settings, clients)),
            reconfigured: watch::Sender::default(),
            connections: OnceLock::new(),
            sessions: http::Sessions::default(),
            pairs: http::Pairs::default(),
            request_ids: request_id::RequestIds::new(),
            tasks: TaskTracker::new(),
            leaving: CancellationToken::new(),
            shutdown,
            killed: CancellationToken::new(),
            started: Instant::now(),
        })
    }

    /// Applies changed settings to requests from now on; sessions stay, but those of clients that are not
    /// let in any more end, and so do their streams. The address listened on, the bound on connections and the time for headers are
    /// fixed when listening begins.
    pub fn reconfigure(&self, settings: &ServerSettings, clients: &BTreeMap<String, ClientSettings>) {
        budget::limit(settings.limits.buffered_bytes);
        let policy = Arc::new(Policy::new(settings, clients));
        self.policy.store(Arc::clone(&policy));
        let is_known = |principal: &Principal| policy.authenticator.knows(principal);
        self.sessions.end_unless(is_known);
        self.pairs.end_unless(is_known);
        let known = Arc::clone(&policy);
        self.router.dismiss(move |name| known.authenticator.knows(&Principal::named(name)));
        self.reconfigured.send_replace(());
    }

    /// Whether `principal`, who was let in under `policy`, still is.
    fn still_knows(&self, principal: &Principal, policy: &Arc<Policy>) -> bool {
        let now = self.policy.load();
        Arc::ptr_eq(&now, policy) || now.authenticator.knows(principal)
    }

    /// Returns once `principal` is not let in any more.
    async fn dismissed(&self, principal: &Principal) {
        let mut reconfigured = self.reconfigured.subscribe();
        while self.policy().authenticator.knows(principal) {
            // The sender lives as long as this.
            let _ = reconfigured.changed().await;
        }
    }

    /// Keeps in the file `path` what sessions need to go on after a restart, beside their ids.
    pub fn keep_sessions(&self, path: PathBuf) {
        self.sessions.keep_in(path);
    }

    /// Drains once `told` to, after the time that operators gave those who send traffic to stop sending it.
    pub async fn drain_when(self: Arc<Self>, told: CancellationToken) {
        if self.shutdown.run_until_cancelled(told.cancelled()).await.is_none() {
            return;
        }
        self.leaving.cancel();
        let lead = self.policy().drain_lead;
        if !lead.is_zero() {
            tracing::info!(lead_ms = lead.as_millis(), "told to stop; not ready any more, and still serving");
            self.shutdown.run_until_cancelled(tokio::time::sleep(lead)).await;
        }
        self.shutdown.cancel();
    }

    /// For operators: `serving`, `leaving` or `draining`.
    fn state(&self) -> &'static str {
        match (self.is_draining(), self.leaving.is_cancelled()) {
            (true, _) => "draining",
            (false, true) => "leaving",
            (false, false) => "serving",
        }
    }

    /// Connections of clients there are, and how many may be.
    fn connection_usage(&self) -> Option<(usize, usize)> {
        self.connections.get().map(|connections| connections.usage())
    }

    /// Whether the next client could only be served at the cost of another one's call.
    fn is_full(&self) -> bool {
        self.connections.get().is_some_and(|connections| connections.is_full())
    }

    /// The bounds at which newcomers are served at the cost of what others hold.
    fn reached_bounds(&self) -> Vec<&'static str> {
        let connections = self.connection_usage().is_some_and(|(open, bound)| open >= bound);
        let sessions = self.sessions.len() >= self.policy().limits.sessions;
        let reached = [("connections", connections), ("sessions", sessions)];
        reached.into_iter().filter_map(|(name, is_reached)| is_reached.then_some(name)).collect()
    }

    /// Cancelled when the gateway begins to drain.
    pub fn draining(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Whether the gateway stops.
    pub fn is_draining(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Runs `work` to its end whatever happens to the connection that asked for it, unless draining
    /// takes too long.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let killed = self.killed.clone();
        self.tasks.spawn(async move { killed.run_until_cancelled(work).await });
    }

    /// Waits for spawned work, at most `patience`; then everything that is left is dropped, and that waited
    /// for too.
    async fn finish(&self, patience: Duration) {
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.tasks.len(),
                "calls still running at the end of the drain are cancelled"
            );
        }
        self.killed.cancel();
        let _ = tokio::time::timeout(DROPPED, self.tasks.wait()).await;
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("draining", &self.is_draining()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::router::{Fleet, Sealer};

    #[tokio::test]
    async fn what_is_left_at_the_end_of_the_drain_is_dropped_before_that_is_over() {
        let router = Router::new(Default::default(), Fleet::new(Vec::new()), Sealer::new(&[]).unwrap());
        let server =
            Server::new(router, &ServerSettings::default(), &BTreeMap::new(), CancellationToken::new());
        let lease = Arc::new(());
        let borrowed = Arc::clone(&lease);
        server.spawn(async move {
            let _borrowed = borrowed;
            std::future::pending::<()>().await;
        });
        server.finish(Duration::ZERO).await;
        assert_eq!(Arc::strong_count(&lease), 1);
    }
}
