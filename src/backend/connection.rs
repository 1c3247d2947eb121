//! A backend that answers: its transport, what was agreed, and requests on the gateway's own account.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::protocol::{Era, Object, RawJson, Revision, method};

use super::child::Child;
use super::handshake::{Agreement, own_meta};
use super::http::{HttpConnection, follow, listen_params};
use super::ids::Ids;
use super::pipe::Pipe;
use super::signals::Signals;
use super::wire::{Outgoing, Reply};
use super::{Failure, Sent};

/// How messages travel.
#[derive(Debug, Clone)]
pub(super) enum Wire {
    Pipe(Pipe),
    Http(Arc<HttpConnection>),
}

/// One connection to a backend, after the handshake.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    agreement: Agreement,
    ids: Ids,
}

/// A connection and the process behind it, if the gateway started one.
#[derive(Debug)]
pub(super) struct Established {
    pub connection: Arc<Connection>,
    pub child: Option<Child>,
}

impl Established {
    /// Ends the connection, then the process.
    pub(super) async fn end(self, reason: &str) {
        self.connection.close(reason).await;
        if let Some(child) = self.child {
            child.stop().await;
        }
    }
}

impl Connection {
    pub(super) fn new(wire: Wire, agreement: Agreement, ids: Ids) -> Self {
        Self { wire, agreement, ids }
    }

    pub(super) fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    pub(super) fn revision(&self) -> Revision {
        self.agreement.revision
    }

    pub(super) fn signals(&self) -> &Signals {
        match &self.wire {
            Wire::Pipe(pipe) => pipe.signals(),
            Wire::Http(http) => http.signals(),
        }
    }

    /// Whether silence means nothing: over HTTP only a request shows that the backend is gone.
    pub(super) fn needs_health_checks(&self) -> bool {
        matches!(self.wire, Wire::Http(_))
    }

    /// Sends a request.
    pub(super) async fn start(&self, outgoing: &Outgoing) -> Result<Reply, Failure> {
        match &self.wire {
            Wire::Pipe(pipe) => pipe.start(outgoing).map(Reply::Pipe),
            Wire::Http(http) => http.start(outgoing).await.map(|reply| Reply::Http(Box::new(reply))),
        }
    }

    /// Asks something on the gateway's own account, within `limit`.
    pub(super) async fn ask(
        &self,
        name: &'static str,
        mut params: Object,
        limit: Duration,
    ) -> Result<Result<RawJson, RawJson>, Failure> {
        if self.revision().era() == Era::Modern {
            params.set("_meta", own_meta());
        }
        let params = (!params.is_empty()).then(|| params.to_json());
        let outgoing = Outgoing { id: self.ids.next(), method: name, params };
        let asking = async { self.start(&outgoing).await?.answer().await };
        timeout(limit, asking).await.unwrap_or_else(|_| Err(Failure::timeout(Sent::Maybe, limit)))
    }

    /// Whether the backend still answers.
    pub(super) async fn check_health(&self, limit: Duration) -> Result<(), Failure> {
        let name = match self.revision().era() {
            Era::Legacy => method::PING,
            Era::Modern => method::DISCOVER,
        };
        // An error is an answer too.
        self.ask(name, Object::new(), limit).await.map(|_outcome| ())
    }

    /// Starts to listen for what concerns no request. The listener ends with the connection.
    pub(super) fn listen(&self) {
        match &self.wire {
            Wire::Http(http) => {
                tokio::spawn(follow(Arc::clone(http), self.agreement.clone()));
            }
            Wire::Pipe(pipe) if self.revision().era() == Era::Modern => {
                let Some(params) = listen_params(&self.agreement) else { return };
                let outgoing = Outgoing { id: self.ids.next(), method: method::LISTEN, params: Some(params) };
                if let Ok(reply) = pipe.start(&outgoing) {
                    // Kept until the backend ends it: dropping the reply would cancel the subscription.
                    tokio::spawn(Reply::Pipe(reply).answer());
                }
            }
            Wire::Pipe(_) => {}
        }
    }

    /// Ends it: calls in flight learn so, a session is deleted, a process loses its standard input.
    pub(super) async fn close(&self, reason: &str) {
        match &self.wire {
            Wire::Pipe(pipe) => pipe.lose(reason),
            Wire::Http(http) => {
                http.signals().lose(reason);
                http.close().await;
            }
        }
    }
}
