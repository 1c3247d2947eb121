//! Start, reload and stop: the only room, beside the command line, that sees every other.
//!
//! | file | the question it answers |
//! |---|---|
//! | `applied.rs` | which configuration is in force? |
//! | `crew.rs` | which backends are running, and how is one begun, replaced and ended? |
//! | `reload.rs` | how does a changed file come into force? |
//! | `hand_over.rs` | how does a new process take over what this one listens on? |
//! | `state_dir.rs` | which configuration file does a state directory belong to, and who uses it? |
//! | `keys.rs` | which keys seal what clients keep? |
//! | `news.rs` | what do operators hear of the configuration? |
//! | `service.rs` | what is the service manager told? |

mod applied;
mod crew;
mod hand_over;
mod keys;
mod news;
mod reload;
mod service;
mod state_dir;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod simulation;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Vault, adopt_orphans, kill_all, kill_orphans, raise_descriptors, start_guardian};
use crate::catalog::{KeptListing, load};
use crate::config::Config;
use crate::router::{Fleet, Router};
use crate::server::{Admin, Server, serve, serve_admin, serve_stdio};
use crate::telemetry::{self, process};
use crate::threads::Threads;

pub use applied::applied;
pub use hand_over::Inherited;
pub use state_dir::StateDir;

use crew::Crew;
use hand_over::HandOver;
use news::News;
use reload::Reloader;
use service::ServiceManager;

/// For children to be stopped, above their own stop sequence.
const STOP: Duration = Duration::from_secs(15);
/// For what a gateway does at its end beside waiting for calls and for children.
const REST: Duration = Duration::from_secs(5);
/// Between two passes over the histograms' buffers.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often series of calls that may come are kept from being dropped as idle.
const KEEP_SERIES: Duration = Duration::from_hours(1);

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
    /// Taken by whoever reloads.
    crew: Option<Crew>,
    news: Arc<News>,
    /// Asks for a reload; without it the file is read once.
    asked: Option<Arc<Notify>>,
    keep: Keep,
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
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let vault = Vault::new(&config.state_dir, &config.sealing_keys);
        let mut crew = Crew::new(&config, vault, Arc::clone(&changed), tasks.clone(), stop.clone());
        let mut kept = store.as_deref().map(kept).unwrap_or_default();
        let members: Vec<_> =
            config.backends.iter().map(|one| crew.member(one, kept.remove(&one.settings.name))).collect();
        let sealer = keys::sealer(&config, keep)?;
        let router = Router::new(config.catalog.clone(), Fleet::new(members.clone()), sealer);
        tasks.spawn(Arc::clone(&router).keep_fresh(changed, store, stop.clone()));
        tasks.spawn(summarize_logs(stop.clone()));
        for member in &members {
            crew.begin(member);
        }
        let news = Arc::new(News::new(&config));
        Ok(Self { config, router, crew: Some(crew), news, asked: None, keep, tasks, stop })
    }

    /// Reads the configuration again when its file changes, and whenever `asked` is notified.
    #[must_use]
    pub fn reload_on(mut self, asked: Arc<Notify>) -> Self {
        self.asked = Some(asked);
        self
    }

    /// Longest time from when a gateway with this configuration begins to drain to its end.
    pub fn longest_drain(config: &Config) -> Duration {
        config.server.drain + STOP + REST
    }

    /// What answers requests.
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// As configured at the start.
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
        mut self,
        clients: TcpListener,
        operators: Option<TcpListener>,
        shutdown: CancellationToken,
    ) {
        let (operators_end, drain) = (self.stop.child_token(), CancellationToken::new());
        if self.keep == Keep::Catalog {
            let sockets = [Some(clients.as_fd()), operators.as_ref().map(AsFd::as_fd)];
            self.await_successor(sockets.into_iter().flatten().collect(), &drain, &operators_end);
        }
        let threads = Threads::start()
            .map(Arc::new)
            .inspect_err(|error| tracing::warn!(%error, "connections are served by the main threads"))
            .ok();
        let server = Server::new(Arc::clone(&self.router), &self.config.server, &self.config.clients, drain);
        self.tasks.spawn(Arc::clone(&server).drain_when(shutdown));
        if let Some(listener) = operators {
            let (metrics, news) = (telemetry::install(), Arc::clone(&self.news));
            let (router, threads) = (Arc::clone(&self.router), threads.clone());
            let shown = Arc::clone(&server);
            self.tasks.spawn(upkeep(metrics, Arc::clone(&self.router), self.stop.clone()));
            let listen = clients.local_addr().unwrap_or(self.config.server.listen);
            let admin = Arc::new(Admin {
                listen,
                server: Arc::clone(&server),
                metrics: Box::new(move || {
                    router.backends().iter().for_each(|backend| backend.show_circuit());
                    shown.show_bounds();
                    let beside = threads.as_deref().map(Threads::alive_tasks).unwrap_or_default();
                    process::tasks(Handle::current().metrics().num_alive_tasks() + beside);
                    telemetry::install().render()
                }),
                config: Box::new(move || news.to_json()),
            });
            // Operators watch the drain too: this listener ends last, unless a successor has it.
            self.tasks.spawn(serve_admin(listener, admin, operators_end, self.stop.clone()));
        }
        if self.keep == Keep::Catalog {
            applied::note(&self.config, &self.config.state_dir);
            server.keep_sessions(self.config.state_dir.join("sessions.json"));
        }
        let manager = ServiceManager::of_this_process();
        // Before the first reload, which tells of itself.
        manager.ready(&self.news.summary());
        self.begin_reloading(&server, &manager);
        serve(clients, server, threads.as_deref()).await;
        self.stop().await;
        // Not before: connections to backends that a client asked for are kept alive by its thread.
        drop(threads);
    }

    /// Serves the one client that started this process, over standard input and output.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub async fn serve_stdio(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let (anyone, end) = (BTreeMap::new(), shutdown.child_token());
        let server = Server::new(Arc::clone(&self.router), &self.config.server, &anyone, end.clone());
        self.begin_reloading(&server, &ServiceManager::default());
        let served = serve_stdio(tokio::io::stdin(), tokio::io::stdout(), server).await;
        // The end of the input is the end of everything, as a signal is.
        end.cancel();
        self.stop().await;
        served.context("failed to serve standard input and output")
    }

    /// Drains once a new process has taken over.
    fn await_successor(
        &self,
        sockets: Vec<BorrowedFd<'_>>,
        drain: &CancellationToken,
        operators_end: &CancellationToken,
    ) {
        let hand_over = match HandOver::new(&self.config.state_dir, &sockets) {
            Ok(hand_over) => hand_over,
            Err(error) => return tracing::warn!(%error, "no new process can take over the sockets"),
        };
        let (drain, operators_end) = (drain.clone(), operators_end.clone());
        self.tasks.spawn(async move {
            // Dropped when draining begins otherwise: a copy of a socket keeps it open.
            if drain.run_until_cancelled(hand_over.done()).await.is_some() {
                tracing::info!("a new process has taken over; finishing what is in flight");
                operators_end.cancel();
                drain.cancel();
            }
        });
    }

    fn begin_reloading(&mut self, server: &Arc<Server>, manager: &ServiceManager) {
        let (Some(asked), Some(crew)) = (self.asked.take(), self.crew.take()) else { return };
        let reloader = Reloader {
            config: self.config.clone(),
            router: Arc::clone(&self.router),
            server: Arc::clone(server),
            crew,
            news: Arc::clone(&self.news),
            manager: manager.clone(),
            keep: self.keep,
        };
        let (draining, manager) = (server.draining(), manager.clone());
        self.tasks.spawn(async move {
            draining.run_until_cancelled(reloader.run(&asked)).await;
            manager.stopping();
        });
    }

    /// Ends every backend and the processes behind them.
    pub async fn stop(self) {
        self.router.give_up().await;
        self.stop.cancel();
        self.tasks.close();
        if timeout(STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!("some backends did not end in time; their processes are killed");
        }
        let _ = tokio::task::spawn_blocking(kill_orphans).await;
    }
}

/// Prepares this process to serve until it is told to stop: it may open as many files as the system allows, and takes in
/// what descends from backends' processes that have ended, so that nothing of it outlives this process. To be called once,
/// before any child is started.
pub fn prepare_to_serve() {
    raise_descriptors();
    adopt_orphans();
}

/// Has every process that will be started ended should this one be killed. To be called once, before.
pub fn guard_backends() {
    start_guardian();
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

/// Writes what was left out of the log, now and then and at the end.
async fn summarize_logs(stop: CancellationToken) {
    let mut ticks = interval(UPKEEP);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        telemetry::write_log_summaries();
    }
    telemetry::write_last_log_summaries();
}

async fn upkeep(metrics: telemetry::Metrics, router: Arc<Router>, stop: CancellationToken) {
    let (mut ticks, mut hours) = (interval(UPKEEP), interval(KEEP_SERIES));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => metrics.upkeep(),
            _ = hours.tick() => router.keep_series(),
        }
    }
}
