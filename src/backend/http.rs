//! Streamable HTTP: one POST per request, its answer as JSON or as an event stream.

mod aside;
mod cancel;
mod client;
mod cookies;
mod decode;
mod direct;
mod headers;
mod link;
mod lost_session;
mod origin;
mod proxy;
mod reason;
mod redirect;
mod reply;
mod rest;
mod resume;
mod status;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;

use crate::protocol::{ClientCapabilities, Id, LogLevel, Pieces, RawJson, Revision, frame, header, method};
use crate::telemetry::LogLimit;

pub(super) use aside::Aside;
pub(super) use client::Response;
pub(super) use headers::fixed as fixed_headers;
pub(super) use lost_session::{says_so as is_about_lost_session, take_refusal};
pub(super) use origin::{OriginClient, Target};
pub(super) use redirect::within_origin;
pub(super) use reply::{HttpReply, is_event_stream, is_modern_error};
pub(super) use rest::discard_rest;
#[cfg(test)]
pub(super) use status::refusal;
pub(super) use stream::{follow, open_beside};

use cancel::CancelGuard;
use lost_session::SessionDoubts;
use rest::Rests;

use super::connection::level_params;
use super::handshake::{self, Rejection};
use super::ids::Ids;
use super::in_flight::InFlight;
use super::noise::ANSWERS_NOT_TAKEN;
use super::oauth::{self, Authorizer};
use super::outbox::{Outbox, Queued};
use super::signals::Signals;
use super::wire::{Outgoing, Reply};
use super::{Failure, RemoteSettings};

const SESSION_LINES: LogLimit = LogLimit::new("a backend forgot the session", 2);

/// What the gateway says about itself with each request to this backend.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hop {
    /// The `initialize` request: nothing is agreed yet.
    Opening,
    /// After `initialize`.
    Legacy { revision: Revision, session: Option<HeaderValue> },
    /// Headers mirror the body, there is no session.
    Modern,
}

impl Hop {
    fn session(&self) -> Option<&HeaderValue> {
        match self {
            Self::Legacy { session, .. } => session.as_ref(),
            Self::Opening | Self::Modern => None,
        }
    }
}

/// A backend over Streamable HTTP. There is no connection to lose: a session at most, which is
/// opened again when the backend has forgotten it.
#[derive(Debug)]
pub(super) struct HttpConnection {
    client: OriginClient,
    target: Target,
    /// Scheme, host and port of its URL.
    origin: String,
    headers: HeaderMap,
    authorizer: Option<Arc<Authorizer>>,
    hop: ArcSwap<Hop>,
    /// Held while a session is opened, so that a hundred calls that meet a 404 open one.
    renewal: tokio::sync::Mutex<()>,
    doubts: SessionDoubts,
    /// What a legacy session is told that it may ask.
    capabilities: ClientCapabilities,
    /// The level of log messages that a legacy session was told.
    level: Mutex<Option<LogLevel>>,
    /// The calls that hear what a legacy backend says beside their own streams.
    beside: Arc<InFlight>,
    /// Whether the stream is open on which it says such things.
    is_heard: AtomicBool,
    ids: Ids,
    signals: Signals,
    outbox: Outbox,
    rests: Rests,
    /// For everything that is no call.
    limit: Duration,
}

impl HttpConnection {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// A header that HTTP cannot carry, or no TLS roots.
    pub(super) fn new(
        remote: &RemoteSettings,
        backend: &str,
        authorizer: Option<Arc<Authorizer>>,
        ids: Ids,
        capabilities: ClientCapabilities,
        limit: Duration,
    ) -> Result<Self, Failure> {
        Ok(Self {
            client: OriginClient::new(remote, limit)?,
            target: Target::new(remote.url.clone())?,
            origin: remote.url.origin().ascii_serialization(),
            headers: headers::fixed(&remote.headers)?,
            authorizer,
            hop: ArcSwap::from_pointee(Hop::Opening),
            renewal: tokio::sync::Mutex::default(),
            doubts: SessionDoubts::default(),
            capabilities,
            level: Mutex::default(),
            beside: Arc::default(),
            is_heard: AtomicBool::new(false),
            ids,
            signals: Signals::new(backend),
            outbox: Outbox::default(),
            rests: Rests::new(),
            limit,
        })
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// What a legacy session is told that it may ask.
    pub(super) fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    /// Begins to take what the backend says about a call beside its own stream; `None` where it can say nothing.
    pub(super) fn hear_beside(&self, outgoing: &Outgoing) -> Option<Aside> {
        let may_hear = !self.capabilities.is_empty() || self.is_heard.load(Ordering::Relaxed);
        may_hear.then(|| Aside::of(&self.beside, outgoing))
    }

    /// Says whether the stream is open on which the backend says what concerns no request.
    fn set_heard(&self, is_heard: bool) {
        self.is_heard.store(is_heard, Ordering::Relaxed);
    }

    /// Whether a question goes to the client that waits; `ping` is answered here.
    fn may_ask(&self, name: &str) -> bool {
        !self.capabilities.is_empty() && name != method::PING
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Settles how requests are sent from now on.
    pub(super) fn agree(&self, hop: Hop) {
        self.hop.store(Arc::new(hop));
    }

    /// Sends a request the way that was agreed. Where the backend has forgotten the session, the request was certainly
    /// not processed: another session is opened, and the request sent once more.
    pub(super) async fn start(self: &Arc<Self>, outgoing: &Outgoing) -> Result<HttpReply, Failure> {
        let hop = self.hop.load_full();
        let reply = self.send(&hop, outgoing).await?;
        if !reply.status().is_client_error() || !matches!(*hop, Hop::Legacy { .. }) {
            return Ok(reply);
        }
        // In a box, like all that is big and rarely needed: a call keeps room for what it awaits.
        Box::pin(self.examine(&hop, reply, outgoing)).await
    }

    async fn renew(self: &Arc<Self>, stale: &Hop) -> Result<(), Failure> {
        let _only_one = self.renewal.lock().await;
        if self.hop.load().as_ref() != stale {
            return Ok(());
        }
        if SESSION_LINES.admits(&self.origin) {
            tracing::info!(url = %self.origin, "the backend forgot the session; opening another");
        }
        if let Err(Rejection { failure, .. }) = handshake::initialize_http(self).await {
            // Without a session nothing works: the supervisor connects anew, and says why it cannot.
            if !failure.is_rate_limit() {
                self.signals.lose(format!("the backend forgot the session: {}", failure.message));
            }
            return Err(failure);
        }
        self.replay_level().await;
        self.signals.renew();
        Ok(())
    }

    /// Has a session that is opened again told the same level.
    pub(super) fn remember_level(&self, level: LogLevel) {
        *self.level.lock() = Some(level);
    }

    async fn replay_level(self: &Arc<Self>) {
        let Some(level) = *self.level.lock() else { return };
        let told = Outgoing::new(self.ids.next(), method::SET_LEVEL, Some(level_params(level).to_json()));
        let telling =
            async { Reply::Http(Box::new(self.send(&self.hop.load_full(), &told).await?)).answer().await };
        if let Ok(Err(failure)) = tokio::time::timeout(self.limit, telling).await {
            tracing::debug!(%failure, "the new session did not take the log level");
        }
    }

    /// Sends a request as `hop` says.
    pub(super) async fn send(self: &Arc<Self>, hop: &Hop, outgoing: &Outgoing) -> Result<HttpReply, Failure> {
        let text =
            frame::request_pieces(&Id::number(outgoing.id), outgoing.wire_method(), outgoing.params.as_ref());
        if outgoing.method == method::INITIALIZE {
            self.client.begin_anew(&self.target);
        }
        let mut guard = CancelGuard::new(Arc::clone(self), hop, outgoing);
        let response = self.post(hop, Some(outgoing), text).await;
        match response {
            Ok(response) => Ok(HttpReply::new(response, guard)),
            Err(failure) => {
                guard.disarm();
                Err(failure)
            }
        }
    }

    /// Sends a notification or an answer; what the backend says to it matters to nobody.
    pub(super) async fn post_silent(&self, text: Bytes) {
        let hop = self.hop.load_full();
        let sent = tokio::time::timeout(self.limit, self.post(&hop, None, text.into())).await;
        match sent.map(|sent| sent.map(|mut response| response.take_body())) {
            Ok(Ok(Some(mut body))) => rest::end(&mut body).await,
            Ok(Err(failure)) => tracing::debug!(%failure, "a notification did not reach the backend"),
            Ok(Ok(None)) | Err(_) => {}
        }
    }

    pub(super) async fn notify(&self, name: &str, params: Option<&RawJson>) {
        self.post_silent(frame::notification(name, params)).await;
    }

    /// Sends a notification after those before it; lost if too many wait, as notifications may be.
    pub(super) fn post_later(self: &Arc<Self>, text: Bytes) {
        let _ = self.send_queued(self.outbox.push(text));
    }

    /// The same for one that says nothing new while its like still waits.
    pub(super) fn post_once(self: &Arc<Self>, text: Bytes) {
        let _ = self.send_queued(self.outbox.push_once(text));
    }

    /// Sends the answer to a request of the backend. One that does not take its answers has no use for the connection.
    pub(super) fn post_answer(self: &Arc<Self>, text: Bytes) {
        if !self.send_queued(self.outbox.push(text)) {
            self.signals.lose(ANSWERS_NOT_TAKEN);
            self.outbox.clear();
        }
    }

    /// Starts a worker if there is to be one; `false` if the message was not taken.
    fn send_queued(self: &Arc<Self>, queued: Queued) -> bool {
        let connection = Arc::clone(self);
        let work = async move {
            while let Some(text) = connection.outbox.next() {
                connection.post_silent(text).await;
            }
        };
        if queued == Queued::NeedsWorker && !self.signals.say(work) {
            self.outbox.has_no_worker();
        }
        queued != Queued::Full
    }

    async fn post(&self, hop: &Hop, outgoing: Option<&Outgoing>, text: Pieces) -> Result<Response, Failure> {
        self.transmit(Method::POST, || self.headers(hop, outgoing), text).await
    }

    fn headers(&self, hop: &Hop, outgoing: Option<&Outgoing>) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers::add_hop(&mut headers, hop, outgoing);
        headers
    }

    /// Opens the stream of messages that belong to no request.
    async fn get(&self, last_event_id: Option<&str>) -> Result<Response, Failure> {
        let headers = || {
            let mut headers = self.headers(&self.hop.load(), None);
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
            if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
                headers.insert(header::LAST_EVENT_ID, id);
            }
            headers
        };
        self.transmit(Method::GET, headers, Pieces::default()).await
    }

    async fn transmit(
        &self,
        method: Method,
        headers: impl Fn() -> HeaderMap,
        body: Pieces,
    ) -> Result<Response, Failure> {
        let (method, headers, body) = (&method, &headers, &body);
        let attempt = |token: Option<HeaderValue>| async move {
            let authorized = || {
                let mut headers = headers();
                if let Some(token) = &token {
                    headers.insert(AUTHORIZATION, token.clone());
                }
                headers
            };
            self.client.send(&self.target, method, authorized, body).await
        };
        oauth::send(self.authorizer.as_ref(), attempt).await
    }

    /// Ends the session, if there is one, after the last word was said.
    pub(super) async fn close(&self) {
        let ending = async {
            self.signals.said().await;
            self.delete_session(&self.hop.load_full()).await;
        };
        let _ = tokio::time::timeout(self.limit, ending).await;
        self.outbox.clear();
    }

    /// Ends a session that was opened before it was known that the backend needs none.
    pub(super) fn leave_session(self: &Arc<Self>) {
        let (connection, hop) = (Arc::clone(self), self.hop.load_full());
        if hop.session().is_some() {
            self.signals.say(async move {
                let _ = tokio::time::timeout(connection.limit, connection.delete_session(&hop)).await;
            });
        }
    }

    async fn delete_session(&self, hop: &Hop) {
        if hop.session().is_some() {
            let headers = || self.headers(hop, None);
            let _ = self.transmit(Method::DELETE, headers, Pieces::default()).await;
        }
    }
}
