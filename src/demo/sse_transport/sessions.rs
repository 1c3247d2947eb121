//! Which streams are open, and where do messages for them go?

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        Transport,
        common::server_side_http::{SessionId, session_id},
    },
};
use tokio::sync::mpsc;

const MAX_SESSIONS: usize = 64;
/// Messages that wait for the server, and messages that wait for the client, per session.
const QUEUE: usize = 32;
/// How long an answer waits for a client that does not read its stream.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The open sessions by id. The lock is never held across an await.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<SessionId, mpsc::Sender<ClientJsonRpcMessage>>>,
}

impl Sessions {
    /// A new session: what keeps it open, the server's end, and what the server says. Nothing if there are too many.
    pub(super) fn open(
        sessions: &Arc<Self>,
    ) -> Option<(Ticket, SessionTransport, mpsc::Receiver<ServerJsonRpcMessage>)> {
        let mut open = sessions.open.lock();
        if open.len() >= MAX_SESSIONS {
            return None;
        }
        // 122 random bits: possession of the id is all that a POST has to show.
        let id = session_id();
        let (to_server, from_client) = mpsc::channel(QUEUE);
        let (to_client, from_server) = mpsc::channel(QUEUE);
        open.insert(Arc::clone(&id), to_server);
        let ticket = Ticket { id, sessions: Arc::clone(sessions) };
        Some((ticket, SessionTransport { from_client, to_client }, from_server))
    }

    pub(super) fn find(&self, id: &str) -> Option<mpsc::Sender<ClientJsonRpcMessage>> {
        self.open.lock().get(id).cloned()
    }
}

/// Keeps a session open; dropping it closes the session.
pub(super) struct Ticket {
    id: SessionId,
    sessions: Arc<Sessions>,
}

impl Ticket {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.sessions.open.lock().remove(&self.id);
    }
}

/// The server's end of a session.
pub(super) struct SessionTransport {
    from_client: mpsc::Receiver<ClientJsonRpcMessage>,
    to_client: mpsc::Sender<ServerJsonRpcMessage>,
}

impl Transport<RoleServer> for SessionTransport {
    type Error = io::Error;

    fn send(&mut self, item: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let to_client = self.to_client.clone();
        async move {
            let sent = to_client.send_timeout(item, SEND_TIMEOUT).await;
            sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client does not read its stream"))
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.from_client.recv().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.from_client.close();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_ends_with_its_ticket() {
        let sessions = Arc::new(Sessions::default());
        let (ticket, mut transport, _outgoing) = Sessions::open(&sessions).unwrap();
        let id = ticket.id().to_owned();
        assert!(sessions.find(&id).is_some());
        drop(ticket);
        assert!(sessions.find(&id).is_none());
        assert!(transport.receive().await.is_none(), "the server must see the end");
    }

    #[test]
    fn a_full_house_refuses_until_someone_leaves() {
        let sessions = Arc::new(Sessions::default());
        let mut guests: Vec<_> = (0..MAX_SESSIONS).map(|_| Sessions::open(&sessions).unwrap()).collect();
        assert!(Sessions::open(&sessions).is_none());
        guests.pop();
        assert!(Sessions::open(&sessions).is_some());
    }
}
