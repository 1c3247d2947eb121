//! Which backends are running, and how is one begun, replaced and ended?

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Backend, Changed, TransportSettings, Vault};
use crate::catalog::KeptListing;
use crate::config::{BackendConfig, Config};
use crate::protocol::Era;
use crate::router::Member;
use crate::telemetry::backends;

/// Backends being started at a time: fifty processes at once help nobody.
const STARTS: usize = 8;

/// The supervised backends, by name.
pub(super) struct Crew {
    running: HashMap<String, Running>,
    vault: Arc<Vault>,
    changed: Arc<Notify>,
    starts: Arc<Semaphore>,
    refresh: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Crew {
    /// Nobody yet; everybody ends with `stop`.
    pub(super) fn new(
        config: &Config,
        vault: Arc<Vault>,
        changed: Arc<Notify>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let starts = Arc::new(Semaphore::new(STARTS));
        Self { running: HashMap::new(), vault, changed, starts, refresh: config.catalog.refresh, tasks, stop }
    }

    /// Where grants are.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// A backend as configured, with what was kept of the same server.
    pub(super) fn member(&self, config: &BackendConfig, kept: Option<KeptListing>) -> Member {
        let changed = Arc::clone(&self.changed);
        let tell: Changed = Arc::new(move || changed.notify_one());
        let kept = kept.filter(|kept| kept.identity == config.identity);
        let known = kept.as_ref().and_then(|kept| known_era(kept, &config.settings.transport));
        Member {
            backend: Backend::new(config.settings.clone(), known, &self.vault, tell),
            exposure: config.exposure.clone(),
            kept,
            identity: config.identity.clone(),
        }
    }

    /// Begins to supervise `member`; returns the one that had its name, still running.
    pub(super) fn begin(&mut self, member: &Member) -> Option<Running> {
        self.begin_after(member, async {})
    }

    fn begin_after(
        &mut self,
        member: &Member,
        before: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Running> {
        let (stop, starts) = (self.stop.child_token(), Arc::clone(&self.starts));
        let backend = Arc::clone(&member.backend);
        let supervised = Arc::clone(&backend).supervise(starts, self.refresh, stop.clone());
        let supervisor = self.tasks.spawn(async move {
            before.await;
            supervised.await;
        });
        self.running.insert(backend.name().to_owned(), Running { backend, stop, supervisor })
    }

    /// Begins to supervise `member` once the one that has its name, and its port, has ended.
    pub(super) fn begin_in_turn(&mut self, member: &Member) {
        if let Some(old) = self.running.remove(member.backend.name()) {
            self.begin_after(member, old.end());
        }
    }

    /// Whether `member` would listen where the one that has its name does.
    pub(super) fn must_wait(&self, member: &Member) -> bool {
        let old = self.running.get(member.backend.name());
        let port = |backend: &Backend| served_port(&backend.settings().transport);
        old.is_some_and(|old| port(&old.backend).is_some() && port(&old.backend) == port(&member.backend))
    }

    /// Ends one that no new call reaches, in the background: after its last call.
    pub(super) fn end(&self, old: Running) {
        old.backend.retire();
        self.forget(&old.backend);
        self.tasks.spawn(old.end());
    }

    /// Shows nothing more of names that nobody has any more, a replica's for example.
    fn forget(&self, old: &Backend) {
        let now = self.running.get(old.name()).map(|now| &now.backend);
        let is_gone = |name: &&str| !now.is_some_and(|now| now.names().any(|one| one == *name));
        old.names().filter(is_gone).for_each(backends::forget);
    }

    /// The same for one that nobody succeeds.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(old) = self.running.remove(name) {
            self.end(old);
        }
    }
}

/// A backend under supervision.
pub(super) struct Running {
    backend: Arc<Backend>,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Running {
    fn end(self) -> impl Future<Output = ()> + Send + 'static {
        self.backend.retire();
        async move {
            let Self { backend, stop, supervisor } = self;
            // Already cancelled when the gateway stops: then nobody waits for calls any more.
            stop.run_until_cancelled(backend.drained()).await;
            stop.cancel();
            let _ = supervisor.await;
            tracing::debug!(backend = backend.name(), "a backend that was replaced or removed has ended");
        }
    }
}

/// The port on this machine where a process that is launched is going to listen.
fn served_port(transport: &TransportSettings) -> Option<u16> {
    match transport {
        TransportSettings::Http { remote, process: Some(_) }
        | TransportSettings::Sse { remote, process: Some(_) } => remote.url.port_or_known_default(),
        _ => None,
    }
}

/// An old server on a pipe may die of the question, so it is asked once in its life. Over HTTP asking
/// is cheap, and a server may have been upgraded.
fn known_era(kept: &KeptListing, transport: &TransportSettings) -> Option<Era> {
    (kept.is_legacy && matches!(transport, TransportSettings::Stdio(_))).then_some(Era::Legacy)
}
