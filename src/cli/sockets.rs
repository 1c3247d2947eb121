//! Which sockets does the gateway serve: those of the process before it, those of systemd, or its own?

use std::net::SocketAddr;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::gateway::{Gateway, Inherited, StateDir};

/// What is listened on.
pub(super) struct Sockets {
    pub(super) clients: TcpListener,
    pub(super) operators: Option<TcpListener>,
    /// Whom to tell that this process is ready.
    pub(super) before: Option<Inherited>,
}

impl Sockets {
    /// Takes over from the gateway that runs, if `take_over` says so and there is one; else takes what systemd
    /// passes (`LISTEN_FDS`, in the order clients, operators); else binds. After a take-over `config` says what is
    /// listened on: what its file says is in force after a restart.
    pub(super) async fn open(
        config: &mut Config,
        state_dir: &StateDir,
        take_over: bool,
    ) -> anyhow::Result<Self> {
        let mut before = None;
        if take_over {
            before = inherit(config, state_dir).await?;
        }
        let mut given: Vec<std::net::TcpListener> = match &mut before {
            Some(before) => std::mem::take(&mut before.sockets),
            None => passed().context("failed to use the sockets in LISTEN_FDS")?,
        };
        given.reverse();
        let (clients, operators) = (given.pop(), given.pop().filter(|_| config.admin.enabled));
        let clients = open(clients, config.server.listen, "server.listen", state_dir).await?;
        check_exposure(config, clients.local_addr()?)?;
        let operators = match config.admin.enabled {
            true => Some(open(operators, config.admin.listen, "admin.listen", state_dir).await?),
            false => None,
        };
        if before.is_some() {
            in_force(&mut config.server.listen, &clients)?;
            operators.iter().try_for_each(|operators| in_force(&mut config.admin.listen, operators))?;
        }
        Ok(Self { clients, operators, before })
    }
}

/// The sockets of the gateway that serves. One that drains has closed its own: its end is waited for.
async fn inherit(config: &Config, state_dir: &StateDir) -> anyhow::Result<Option<Inherited>> {
    let inherited =
        Inherited::from(state_dir.path()).context("failed to take over from the gateway that runs")?;
    if inherited.is_none() && state_dir.is_served() {
        let limit = Gateway::longest_drain(config);
        tracing::info!(limit_s = limit.as_secs(), "the gateway that runs is stopping; waiting for its end");
        if !state_dir.vacated(limit).await {
            bail!("the gateway that runs hands nothing over, and did not end in {} s", limit.as_secs());
        }
    }
    Ok(inherited)
}

/// An address that was configured with a port is the one that is listened on.
fn in_force(configured: &mut SocketAddr, listener: &TcpListener) -> std::io::Result<()> {
    if configured.port() != 0 {
        *configured = listener.local_addr()?;
    }
    Ok(())
}

fn passed() -> std::io::Result<Vec<std::net::TcpListener>> {
    let mut passed = ListenFd::from_env();
    let sockets = (0..passed.len()).map(|index| passed.take_tcp_listener(index));
    sockets.filter_map(Result::transpose).collect()
}

async fn open(
    given: Option<std::net::TcpListener>,
    address: SocketAddr,
    key: &str,
    state_dir: &StateDir,
) -> anyhow::Result<TcpListener> {
    let Some(given) = given else {
        return TcpListener::bind(address).await.with_context(|| {
            let remedy = match state_dir.is_served() {
                true => {
                    "a gateway with this configuration file runs already; `serve --take-over` takes its place"
                }
                false => "choose another address, or stop what uses it",
            };
            format!("failed to listen on {address} (`{key}`); {remedy}")
        });
    };
    given.set_nonblocking(true)?;
    let actual = given.local_addr()?;
    if address.port() != 0 && actual != address {
        tracing::warn!(%actual, configured = %address, key, "the socket that was passed listens elsewhere");
    }
    Ok(TcpListener::from_std(given)?)
}

/// What the configuration was checked for holds for the address that is really listened on too.
fn check_exposure(config: &Config, actual: SocketAddr) -> anyhow::Result<()> {
    let is_open = config.clients.is_empty() && !config.server.allow_anonymous;
    if is_open && !actual.ip().to_canonical().is_loopback() {
        bail!(
            "the socket that was passed listens on {actual}, and there are no `clients`: anyone who reaches \
             it could call every tool"
        );
    }
    Ok(())
}
