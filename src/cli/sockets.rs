//! Which sockets does the gateway serve: those of the process before it, those of systemd, or its own?

use std::net::SocketAddr;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::gateway::Inherited;

/// What is listened on.
pub(super) struct Sockets {
    pub(super) clients: TcpListener,
    pub(super) operators: Option<TcpListener>,
    /// Whom to tell that this process is ready.
    pub(super) before: Option<Inherited>,
}

impl Sockets {
    /// Takes over from the gateway that runs, if `take_over` says so and there is one; else takes what systemd
    /// passes (`LISTEN_FDS`, in the order clients, operators); else binds.
    pub(super) async fn open(config: &Config, take_over: bool) -> anyhow::Result<Self> {
        let mut before = None;
        if take_over {
            before = Inherited::from(&config.state_dir)
                .context("failed to take over from the gateway that runs")?;
        }
        let mut given: Vec<std::net::TcpListener> = match &mut before {
            Some(before) => std::mem::take(&mut before.sockets),
            None => passed().context("failed to use the sockets in LISTEN_FDS")?,
        };
        given.reverse();
        let (clients, operators) = (given.pop(), given.pop().filter(|_| config.admin.enabled));
        let clients = open(clients, config.server.listen, "server.listen").await?;
        check_exposure(config, clients.local_addr()?)?;
        let operators = match config.admin.enabled {
            true => Some(open(operators, config.admin.listen, "admin.listen").await?),
            false => None,
        };
        Ok(Self { clients, operators, before })
    }
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
) -> anyhow::Result<TcpListener> {
    let Some(given) = given else {
        return TcpListener::bind(address).await.with_context(|| {
            format!("failed to listen on {address}; choose another `{key}`, or stop what uses it")
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
