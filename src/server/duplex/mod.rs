//! How do many requests share one stream of messages each way: stdio, HTTP+SSE?
//!
//! | file | the question it answers |
//! |---|---|
//! | `mod.rs` | what does one message set in motion? |
//! | `calls.rs` | how do calls and subscriptions run beside each other? |
//! | `outbox.rs` | how do answers queue for the one stream back, and how many? |
//! | `stdio.rs`, `lines.rs` | how are messages framed over stdin and stdout? |

mod calls;
mod lines;
mod outbox;
mod stdio;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use outbox::{Outbox, Outgoing, outbox};
pub use stdio::serve_stdio;

use super::answers::Work;
use super::calls::Calls;
use super::session::Session;
use super::{Server, batch, legacy, modern, refusal_log};
use crate::protocol::{
    Era, Id, Malformed, Message, RawJson, RequestMeta, Revision, RpcError, frame, method, parse, parse_batch,
};
use crate::router::{Principal, RequestId};
use crate::telemetry::process::{OpenSession, session_opened};

/// Requests of one client that run at once.
const IN_FLIGHT: usize = 256;

/// One client on one pair of streams. Each message says its own era.
pub(super) struct Duplex {
    server: Arc<Server>,
    pub(super) principal: Principal,
    /// The client's address; none on standard input and output.
    peer: Option<IpAddr>,
    outbox: Outbox,
    /// What `initialize` agreed on, once it did.
    session: OnceLock<Arc<Session>>,
    /// Set when the client says that it is ready for notifications.
    notified: OnceLock<()>,
    calls: Arc<Calls>,
    running: TaskTracker,
    /// Cancelled when nothing more is taken in and open subscriptions must end.
    ending: CancellationToken,
    _counted: OpenSession,
}

impl Duplex {
    pub(super) fn new(
        server: Arc<Server>,
        principal: Principal,
        peer: Option<IpAddr>,
        outbox: Outbox,
        transport: &'static str,
    ) -> Arc<Self> {
        Arc::new(Self {
            server,
            principal,
            peer,
            outbox,
            session: OnceLock::new(),
            notified: OnceLock::new(),
            calls: Calls::new(),
            running: TaskTracker::new(),
            ending: CancellationToken::new(),
            _counted: session_opened(transport),
        })
    }

    /// Takes one message. Waits only for room in the queue back to the client.
    pub(super) async fn receive(self: &Arc<Self>, text: Bytes) {
        if let Some(session) = self.session.get().filter(|session| session.revision == Revision::V2025_03_26)
            && let Some(items) = parse_batch(&text)
        {
            return match items {
                Ok(items) => self.batch(session, items).await,
                Err(malformed) => self.refuse_malformed(*malformed).await,
            };
        }
        match parse(&text) {
            Ok(Message::Request { id, method, params }) => self.request(id, &method, params).await,
            Ok(Message::Notification { method, params }) => self.notification(&method, params.as_ref()),
            Ok(Message::Response(response)) => self.calls.answer(response),
            Err(malformed) => self.refuse_malformed(*malformed).await,
        }
    }

    /// Takes nothing more, waits for the calls in flight at most `patience`, and lets the queue run out.
    pub(super) async fn finish(&self, patience: Duration) {
        self.ending.cancel();
        self.running.close();
        let _ = tokio::time::timeout(patience, self.running.wait()).await;
        self.abandon();
    }

    /// Cancels everything that runs: there is nobody to tell.
    pub(super) fn abandon(&self) {
        self.ending.cancel();
        self.calls.end();
        self.outbox.close();
    }

    pub(super) fn draw_request_id(&self) -> RequestId {
        let request_id = self.server.request_ids.draw();
        match self.peer {
            Some(peer) => request_id.from_peer(peer),
            None => request_id,
        }
    }

    /// Sends an error for a message that no backend hears of.
    pub(super) async fn refuse(&self, id: Option<&Id>, error: RpcError, request_id: &RequestId) {
        refusal_log::note_message(error.code, request_id, &self.principal);
        let error = error.with("request_id", request_id.to_string());
        self.outbox.send(frame::error(id, &error.to_json())).await;
    }

    async fn refuse_malformed(&self, malformed: Malformed) {
        let request_id = self.draw_request_id();
        self.refuse(malformed.id.as_ref(), malformed.error, &request_id).await;
    }

    async fn request(self: &Arc<Self>, id: Id, name: &str, params: Option<RawJson>) {
        let request_id = self.draw_request_id();
        if self.calls.contains(&id) {
            // An error with this id would pass for the answer of the call that has it.
            return self
                .refuse(None, RpcError::invalid_request("a running request has this id"), &request_id)
                .await;
        }
        let meta = RequestMeta::of(params.as_ref());
        let era = era_of(name, &meta);
        let begun = match era {
            _ if self.calls.len() >= IN_FLIGHT => {
                Err(RpcError::internal(format!("{IN_FLIGHT} requests are in flight; wait for one to end")))
            }
            Era::Modern => self.begin_modern(&id, name, params, &meta, &request_id),
            Era::Legacy => self.begin_legacy(name, params, meta, &request_id).await,
        };
        match begun {
            Ok(Work::Ready(result)) => self.outbox.send(frame::result(&id, result)).await,
            Ok(Work::Later(answering)) => self.run_answer(id, request_id, answering),
            Ok(Work::Routed(exchange)) => self.run_call(id, era, exchange),
            Ok(Work::Subscription(subscription)) => self.run_subscription(&id, *subscription),
            Err(error) => self.refuse(Some(&id), error, &request_id).await,
        }
    }

    fn begin_modern(
        &self,
        id: &Id,
        name: &str,
        params: Option<RawJson>,
        meta: &RequestMeta,
        request_id: &RequestId,
    ) -> Result<Work, RpcError> {
        let caller = modern::check(meta, meta.protocol_version.as_deref(), &self.principal, request_id)?;
        modern::begin(&self.server, caller, id, name, params)
    }

    async fn begin_legacy(
        &self,
        name: &str,
        params: Option<RawJson>,
        meta: RequestMeta,
        request_id: &RequestId,
    ) -> Result<Work, RpcError> {
        match (self.session.get(), name) {
            (Some(session), _) => legacy::begin(&self.server, session, request_id, name, params, meta),
            (None, method::INITIALIZE) => {
                let calls = Arc::clone(&self.calls);
                let (session, result) =
                    legacy::initialize(&self.server, &self.principal, params.as_ref(), calls).await?;
                // One message is taken at a time on stdio; of two racing over HTTP+SSE the first counts.
                let _ = self.session.set(Arc::new(session));
                Ok(Work::Ready(result.into()))
            }
            (None, method::PING) => Ok(Work::Ready(RawJson::empty_object().into())),
            (None, _) => Err(RpcError::invalid_request(
                "begin with `initialize`, or give the protocol version in `_meta` with each request",
            )),
        }
    }

    fn notification(self: &Arc<Self>, name: &str, params: Option<&RawJson>) {
        match name {
            method::CANCELLED => self.calls.cancel(params),
            method::PROGRESS => self.calls.progress(params),
            method::INITIALIZED if self.session.get().is_some() && self.notified.set(()).is_ok() => {
                self.run_notifications();
            }
            method::ROOTS_CHANGED => self.session.get().iter().for_each(|session| session.roots_changed()),
            _ => {}
        }
    }

    async fn batch(self: &Arc<Self>, session: &Arc<Session>, items: Vec<Result<Message, Box<Malformed>>>) {
        match batch::answer(Arc::clone(&self.server), Arc::clone(session), items) {
            Ok(work) => self.run_batch(work),
            Err(error) => self.refuse(None, error, &self.draw_request_id()).await,
        }
    }
}

/// The era of a message: on one stream both may come, each message says which.
fn era_of(name: &str, meta: &RequestMeta) -> Era {
    let is_modern = meta.protocol_version.is_some()
        || meta.client_capabilities.is_some()
        || matches!(name, method::DISCOVER | method::LISTEN);
    if is_modern { Era::Modern } else { Era::Legacy }
}
