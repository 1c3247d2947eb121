//! `switchyard serve`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::gateway::{Gateway, Keep, kill_backends};
use crate::telemetry::{self, process};

use super::banner;
use super::output::say;

/// How long the start-up summary waits for backends; they go on starting after it.
const SUMMARY: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Args)]
pub(super) struct Options {
    /// Speak MCP over standard input and output to the client that started this process
    #[arg(long)]
    stdio: bool,
}

pub(super) async fn run(config: Config, options: Options) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    telemetry::install();
    process::build_info(env!("CARGO_PKG_VERSION"), None);
    count_panics();
    let (shutdown, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    tokio::spawn(signals(shutdown.clone()));
    tokio::spawn(hangups(Arc::clone(&reload)));
    if options.stdio {
        // No operators' listener: each client that starts a gateway of its own would fight for its port.
        Gateway::start(config, Keep::Catalog)?.reload_on(reload).serve_stdio(shutdown).await?;
        return Ok(ExitCode::SUCCESS);
    }
    warn_of_exposure(&config);
    let clients = bind(config.server.listen, "server.listen").await?;
    let operators = match config.admin.enabled {
        true => Some(bind(config.admin.listen, "admin.listen").await?),
        false => None,
    };
    let address = clients.local_addr().context("failed to read the address listened on")?;
    let gateway = Gateway::start(config, Keep::Catalog)?.reload_on(reload);
    let router = Arc::clone(gateway.router());
    let about = banner::About::of(&gateway, address, operators.as_ref());
    // Clients are served at once; the summary follows when there is something to sum up.
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(banner::show(router, about, SUMMARY)));
    gateway.serve(clients, operators, shutdown).await;
    say("stopped");
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

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("failed to listen on {address}; choose another `{key}`, or stop what uses it")
    })
}

/// SIGHUP asks for the configuration to be read again, whether or not its file changed.
async fn hangups(reload: Arc<Notify>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        reload.notify_one();
    }
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
