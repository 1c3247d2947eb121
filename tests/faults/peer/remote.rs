//! A server in this process: its port, and who is connected to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use super::mcp::Message;
use super::{Ledger, sse, streamable};
use crate::fault::{Era, Fault, Transport};

/// Requests that a session lives for while sessions are forgotten all the time.
const SHORT_LIFE: u32 = 5;

/// One server over HTTP.
pub(super) struct Remote {
    transport: Transport,
    pub(super) era: Era,
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    ledger: Arc<Ledger>,
    /// Told when the tools may have changed.
    pub(super) changes: broadcast::Sender<()>,
    /// Requests that each session has seen.
    sessions: Mutex<HashMap<String, u32>>,
    /// The open event streams of HTTP+SSE, by the number of their session.
    pub(super) streams: Mutex<HashMap<u64, mpsc::Sender<String>>>,
    drawn: AtomicU64,
}

impl Remote {
    pub(super) async fn start(transport: Transport, era: Era, ledger: Arc<Ledger>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let remote = Arc::new(Self {
            transport,
            era,
            address: listener.local_addr().unwrap(),
            fault: watch::Sender::new(Fault::None),
            ledger,
            changes: broadcast::Sender::new(16),
            sessions: Mutex::default(),
            streams: Mutex::default(),
            drawn: AtomicU64::new(0),
        });
        tokio::spawn(host(Arc::clone(&remote), listener));
        remote
    }

    pub(super) fn entry(&self) -> String {
        match self.transport {
            Transport::Sse => format!("url: \"http://{}/sse\", type: sse", self.address),
            _ => format!("url: \"http://{}/mcp\"", self.address),
        }
    }

    pub(super) fn inject(&self, fault: Fault) {
        let before = self.fault.send_replace(fault);
        if fault == Fault::EndlessCursor || before == Fault::EndlessCursor {
            let _ = self.changes.send(());
        }
    }

    pub(super) fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    /// Enters a call in the ledger.
    pub(super) fn run(&self, message: &Message) {
        if let Some(call) = message.call() {
            self.ledger.ran(call.number);
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
async fn host(remote: Arc<Remote>, first: TcpListener) {
    let mut fault = remote.fault.subscribe();
    let mut listener = Some(first);
    loop {
        let accepting = match listener.take() {
            Some(listener) => listener,
            None => TcpListener::bind(remote.address).await.unwrap(),
        };
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
        drop((accepting, connections));
        let _ = fault.wait_for(|fault| *fault != Fault::Refuse).await;
    }
}

/// A connection that breaks concerns the gateway only.
async fn converse(remote: Arc<Remote>, stream: TcpStream) {
    let _ = match remote.transport {
        Transport::Sse => sse::converse(&remote, stream).await,
        _ => streamable::converse(&remote, stream).await,
    };
}
