//! Who starts a server over HTTP, and starts it again when it was killed? As a supervisor of services would.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::fault::{Era, Transport};

/// From the end of a process until the next one is started.
const RESTART: Duration = Duration::from_millis(100);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The process of one server; ends when this is dropped.
pub(super) struct Hosted {
    address: SocketAddr,
    keeper: JoinHandle<()>,
}

impl Hosted {
    /// Starts it on a free port, which it keeps; returns once it listens.
    pub(super) async fn start(name: &str, transport: Transport, era: Era, control: &Path) -> Self {
        let address = free_address().await;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["remote-peer", "--name", name, "--address", &address.to_string()]);
        command.args(["--transport", &word(transport), "--era", &word(era), "--control"]).arg(control);
        command.kill_on_drop(true).stdin(Stdio::null());
        let keeper = tokio::spawn(keep(command));
        while TcpStream::connect(address).await.is_err() {
            sleep(LOOK_AGAIN).await;
        }
        Self { address, keeper }
    }

    /// How the gateway reaches it.
    pub(super) fn entry(&self, transport: Transport) -> String {
        match transport {
            Transport::Sse => format!("url: \"http://{}/sse\", type: sse", self.address),
            _ => format!("url: \"http://{}/mcp\"", self.address),
        }
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Below what the system draws from for those who connect: nobody is given the port while nobody listens there.
async fn free_address() -> SocketAddr {
    static DRAWN: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let address = SocketAddr::from((
            [127, 0, 0, 1],
            20_000 + begin + DRAWN.fetch_add(1, Ordering::Relaxed) % 1_000,
        ));
        if TcpListener::bind(address).await.is_ok() {
            return address;
        }
    }
}

async fn keep(mut command: Command) {
    loop {
        let _ = command.spawn().unwrap().wait().await;
        sleep(RESTART).await;
    }
}

/// As the command line spells it.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
