//! A server over HTTP, in a process of its own: its port, and who is connected to it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::mcp::Message;
use super::{sse, streamable};
use crate::fault::{Era, Fault, Transport};

/// Requests that a session lives for while sessions are forgotten all the time.
const SHORT_LIFE: u32 = 5;
/// The port may still be somebody's for a moment.
const BIND_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The backend's name
    #[arg(long)]
    name: String,
    #[arg(long, value_enum)]
    transport: Transport,
    #[arg(long, value_enum)]
    era: Era,
    /// The socket to call back on
    #[arg(long)]
    control: PathBuf,
    /// Where to listen
    #[arg(long)]
    address: SocketAddr,
}

/// Serves until whoever started it is gone, or as its fault says.
pub(crate) async fn serve(options: Options) {
    let mut control = UnixStream::connect(&options.control).unwrap();
    writeln!(control, "{} {}", options.name, std::process::id()).unwrap();
    let mut orders = BufReader::new(control.try_clone().unwrap()).lines();
    let mut next = move || orders.next()?.ok()?.parse::<Fault>().ok();
    let remote = Arc::new(Remote {
        transport: options.transport,
        era: options.era,
        address: options.address,
        fault: watch::Sender::new(next().unwrap_or(Fault::None)),
        control: Mutex::new(control),
        changes: broadcast::Sender::new(16),
        sessions: Mutex::default(),
        streams: Mutex::default(),
        // A process that was killed comes back without the sessions it had.
        drawn: AtomicU64::new(u64::from(std::process::id()) << 32),
    });
    let obedient = Arc::clone(&remote);
    let obeying = tokio::task::spawn_blocking(move || {
        while let Some(fault) = next() {
            obedient.inject(fault);
        }
    });
    tokio::select! {
        () = host(remote) => {}
        _ = obeying => {}
    }
}

/// One server over HTTP.
pub(super) struct Remote {
    transport: Transport,
    pub(super) era: Era,
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    /// Where calls are reported, before they are answered.
    control: Mutex<UnixStream>,
    /// Told when the tools may have changed.
    pub(super) changes: broadcast::Sender<()>,
    /// Requests that each session has seen.
    sessions: Mutex<HashMap<String, u32>>,
    /// The open event streams of HTTP+SSE, by the number of their session.
    pub(super) streams: Mutex<HashMap<u64, mpsc::Sender<String>>>,
    drawn: AtomicU64,
}

impl Remote {
    fn inject(&self, fault: Fault) {
        let before = self.fault.send_replace(fault);
        if fault == Fault::EndlessCursor || before == Fault::EndlessCursor {
            let _ = self.changes.send(());
        }
    }

    pub(super) fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    /// Reports a call.
    pub(super) fn run(&self, message: &Message) {
        if let Some(call) = message.call() {
            let _ = writeln!(self.control.lock(), "{}", call.number);
        }
    }

    pub(super) fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::Relaxed)
    }

    /// Opens a session.
    pub(super) fn open_session(&self) -> String {
        let session = format!("session-{}", self.draw());
        self.sessions.lock().insert(session.clone(), 0);
        session
    }

    /// Whether a session is known; when sessions are forgotten, not for long.
    pub(super) fn knows(&self, session: &str) -> bool {
        let mut sessions = self.sessions.lock();
        let Some(seen) = sessions.get_mut(session) else { return false };
        *seen += 1;
        if self.fault() == Fault::LostSession && *seen > SHORT_LIFE {
            sessions.remove(session);
            return false;
        }
        true
    }
}

/// Accepts connections, except while they are refused.
async fn host(remote: Arc<Remote>) {
    let mut fault = remote.fault.subscribe();
    loop {
        let _ = fault.wait_for(|fault| *fault != Fault::Refuse).await;
        let accepting = bind(remote.address).await;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = accepting.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(Arc::clone(&remote), stream));
                },
                _ = fault.wait_for(|fault| *fault == Fault::Refuse) => break,
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => sleep(BIND_AGAIN).await,
        }
    }
}

/// A connection that breaks concerns the gateway only.
async fn converse(remote: Arc<Remote>, stream: TcpStream) {
    let _ = match remote.transport {
        Transport::Sse => sse::converse(&remote, stream).await,
        _ => streamable::converse(&remote, stream).await,
    };
}
