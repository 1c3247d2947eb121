//! `switchyard serve`

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Map;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::gateway::{Gateway, Keep, StateDir, guard_backends, kill_backends, prepare_to_serve};
use crate::telemetry::{self, LogFormat, process};

use super::banner;
use super::output::{say, say_json};
use super::sockets::Sockets;

/// How long the start-up summary waits for backends; they go on starting after it.
const SUMMARY: Duration = Duration::from_secs(5);

/// How long a new process waits for its backends before it serves in the place of the old one.
const TAKE_OVER: Duration = Duration::from_secs(30);

/// For the last lines of a process that was told to end at once.
const ABORT: Duration = Duration::from_millis(200);

/// As configured, once that is known.
static LOG_FORMAT: OnceLock<LogFormat> = OnceLock::new();

#[derive(Debug, Default, Args)]
pub(super) struct Options {
    /// Speak MCP over standard input and output to the client that started this process
    #[arg(long)]
    stdio: bool,
    /// Take the sockets over from the gateway that runs with the same configuration file, which then drains and ends
    ///
    /// Nothing is refused and no answer is cut. One that drains already is waited for. Without one this is an ordinary
    /// start.
    #[arg(long, conflicts_with = "stdio")]
    take_over: bool,
}

/// How lines are written to standard error.
pub(super) fn log_format() -> LogFormat {
    LOG_FORMAT.get().copied().unwrap_or_default()
}

pub(super) async fn run(mut config: Config, options: Options) -> anyhow::Result<ExitCode> {
    let _ = LOG_FORMAT.set(config.log.format);
    telemetry::init(&config.log)?;
    telemetry::install();
    process::build_info(env!("CARGO_PKG_VERSION"), None);
    count_panics();
    let (shutdown, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    tokio::spawn(signals(shutdown.clone()));
    prepare_to_serve();
    guard_backends();
    hangups(Arc::clone(&reload));
    if options.stdio {
        return serve_stdio(config, reload, shutdown).await;
    }
    warn_of_exposure(&config);
    let state_dir = StateDir::claim(&mut config).await?;
    let Sockets { clients, operators, before } =
        Sockets::open(&mut config, &state_dir, options.take_over).await?;
    state_dir.serve().await;
    let address = clients.local_addr().context("failed to read the address listened on")?;
    let gateway = Gateway::start(config, Keep::Catalog)?.reload_on(reload);
    if let Some(before) = before {
        gateway.first_attempts(TAKE_OVER).await;
        if let Err(error) = before.ready() {
            tracing::info!(%error, "the gateway that ran has ended by itself");
        }
    }
    let router = Arc::clone(gateway.router());
    let about = banner::About::of(&gateway, address, operators.as_ref());
    // Clients are served at once; the summary follows when there is something to sum up.
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(banner::show(router, about, SUMMARY)));
    gateway.serve(clients, operators, shutdown).await;
    match log_format() {
        LogFormat::Text => say("stopped"),
        LogFormat::Json => say_json("INFO", "stopped", Map::new()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves the client that started this process. There is no operators' listener: each client that starts a gateway of its
/// own would fight for its port.
async fn serve_stdio(
    mut config: Config,
    reload: Arc<Notify>,
    shutdown: CancellationToken,
) -> anyhow::Result<ExitCode> {
    // A client starts what its own configuration says, perhaps beside others: it is served in any case.
    let (_state_dir, keep) = match StateDir::claim(&mut config).await {
        Ok(state_dir) => (Some(state_dir), Keep::Catalog),
        Err(error) => {
            tracing::warn!(%error, "the catalog is not kept for the next start");
            (None, Keep::Nothing)
        }
    };
    Gateway::start(config, keep)?.reload_on(reload).serve_stdio(shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// What is allowed, and still worth a word in the log of whoever finds it later.
fn warn_of_exposure(config: &Config) {
    if config.clients.is_empty() && !config.server.listen.ip().is_loopback() {
        let listen = config.server.listen;
        tracing::warn!(%listen, "`server.allow_anonymous`: whoever reaches this address may call every tool");
    }
    if config.admin.enabled && !config.admin.listen.ip().is_loopback() {
        let listen = config.admin.listen;
        tracing::warn!(%listen, "the operators' endpoint has no authentication; keep this address off public networks");
    }
}

/// SIGHUP asks for the configuration to be read again, whether or not its file changed; from now on it ends nothing.
fn hangups(reload: Arc<Notify>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload.notify_one();
        }
    });
}

/// The first SIGTERM or SIGINT drains; the second ends the process.
async fn signals(shutdown: CancellationToken) {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = kinds else {
        tracing::error!("signals cannot be received; only SIGKILL will stop this process");
        return;
    };
    for round in 0.. {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if round == 0 {
            tracing::info!("stopping: calls in flight are finished; once more to stop at once");
            shutdown.cancel();
        } else {
            abort();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the second signal asks for exactly this")]
fn abort() {
    kill_backends();
    telemetry::flush(ABORT);
    std::process::exit(130);
}

/// Counts panics and keeps their payload, which may quote data, out of the log.
fn count_panics() {
    std::panic::set_hook(Box::new(|panic| {
        process::panicked();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
