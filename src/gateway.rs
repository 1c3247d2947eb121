//! Start and stop: the only file, beside the command line, that sees every room.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Backend, Changed, TransportSettings, kill_all};
use crate::catalog::{KeptListing, load};
use crate::config::{BackendConfig, Config};
use crate::protocol::Era;
use crate::router::{Fleet, Member, Router, Sealer};
use crate::server::{Admin, Server, serve, serve_admin, serve_stdio};
use crate::telemetry;

/// Backends being started at a time: fifty processes at once help nobody.
const STARTS: usize = 8;
/// For children to be stopped, above their own stop sequence.
const STOP: Duration = Duration::from_secs(15);
/// Between two passes over the histograms' buffers.
const UPKEEP: Duration = Duration::from_secs(5);

/// Whether the catalog is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Read at start, written on change.
    Catalog,
    /// Left alone: another process owns it.
    Nothing,
}

/// A running gateway. Backends are being reached; who listens to clients is up to the caller.
pub struct Gateway {
    config: Config,
    router: Arc<Router>,
    tasks: TaskTracker,
    /// Cancelled when backends are to end: after clients were served to the end.
    stop: CancellationToken,
}

impl Gateway {
    /// Starts to reach every backend of `config`. Must be called within a runtime; does not wait.
    ///
    /// # Errors
    /// When the system has no entropy to give.
    pub fn start(config: Config, keep: Keep) -> anyhow::Result<Self> {
        let changed = Arc::new(Notify::new());
        let store = (keep == Keep::Catalog).then(|| config.state_dir.join("catalog.json"));
        let fleet = fleet(&config.backends, store.as_deref(), &changed);
        let gateway = Self {
            router: Router::new(config.catalog.clone(), fleet, Sealer::new(&config.sealing_keys)?),
            config,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let fresh = Arc::clone(&gateway.router).keep_fresh(changed, store, gateway.stop.clone());
        gateway.tasks.spawn(fresh);
        gateway.supervise();
        Ok(gateway)
    }

    fn supervise(&self) {
        let starts = Arc::new(Semaphore::new(STARTS));
        for backend in self.router.backends() {
            let refresh = self.config.catalog.refresh;
            self.tasks.spawn(backend.supervise(Arc::clone(&starts), refresh, self.stop.clone()));
        }
    }

    /// What answers requests.
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// As configured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Waits until the first attempt to reach each backend is over, at most `limit`.
    pub async fn first_attempts(&self, limit: Duration) {
        let all = async {
            for backend in self.router.backends() {
                backend.first_attempt().await;
            }
        };
        let _ = timeout(limit, all).await;
        self.router.refresh();
    }

    /// Serves clients and operators on these listeners until `shutdown`, then drains and stops.
    pub async fn serve(
        self,
        clients: TcpListener,
        operators: Option<TcpListener>,
        shutdown: CancellationToken,
    ) {
        let server =
            Server::new(Arc::clone(&self.router), &self.config.server, &self.config.clients, shutdown);
        if let Some(listener) = operators {
            let metrics = telemetry::install();
            self.tasks.spawn(upkeep(metrics, self.stop.clone()));
            let admin = Arc::new(Admin {
                server: Arc::clone(&server),
                metrics: Box::new(|| telemetry::install().render()),
            });
            // Operators watch the drain too: this listener ends last.
            self.tasks.spawn(serve_admin(listener, admin, self.stop.clone()));
        }
        serve(clients, server).await;
        self.stop().await;
    }

    /// Serves the one client that started this process, over standard input and output.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub async fn serve_stdio(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let anyone = BTreeMap::new();
        let server = Server::new(Arc::clone(&self.router), &self.config.server, &anyone, shutdown);
        let served = serve_stdio(tokio::io::stdin(), tokio::io::stdout(), server).await;
        self.stop().await;
        served.context("failed to serve standard input and output")
    }

    /// Ends every backend and the processes behind them.
    pub async fn stop(self) {
        self.router.forget_parked();
        self.stop.cancel();
        self.tasks.close();
        if timeout(STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!("some backends did not end in time; their processes are killed");
        }
    }
}

fn fleet(backends: &[BackendConfig], store: Option<&Path>, changed: &Arc<Notify>) -> Fleet {
    let mut kept = store.map(kept).unwrap_or_default();
    let members = backends.iter().map(|config| {
        let changed = Arc::clone(changed);
        let tell: Changed = Arc::new(move || changed.notify_one());
        let kept = kept.remove(&config.settings.name).filter(|kept| kept.identity == config.identity);
        let known = kept.as_ref().and_then(|kept| known_era(kept, &config.settings.transport));
        Member {
            backend: Backend::new(config.settings.clone(), known, tell),
            exposure: config.exposure.clone(),
            kept,
            identity: config.identity.clone(),
        }
    });
    Fleet::new(members.collect())
}

/// An old server on a pipe may die of the question, so it is asked once in its life. Over HTTP asking
/// is cheap, and a server may have been upgraded.
fn known_era(kept: &KeptListing, transport: &TransportSettings) -> Option<Era> {
    (kept.is_legacy && matches!(transport, TransportSettings::Stdio(_))).then_some(Era::Legacy)
}

/// Ends every process that was started, without waiting for anything: for a process that must end now.
pub fn kill_backends() {
    kill_all();
}

/// What was kept of the catalog. Read before anything is served, so blocking is fine.
fn kept(store: &Path) -> BTreeMap<String, KeptListing> {
    load(store).map(Option::unwrap_or_default).unwrap_or_else(|error| {
        tracing::warn!(%error, file = %store.display(), "the kept catalog cannot be read; starting without it");
        BTreeMap::new()
    })
}

async fn upkeep(metrics: telemetry::Metrics, stop: CancellationToken) {
    let mut ticks = interval(UPKEEP);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        metrics.upkeep();
    }
}
