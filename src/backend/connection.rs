//! A backend that answers: its transport, what was agreed, and requests on the gateway's own account.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::protocol::{Era, LogLevel, Object, RawJson, Revision, frame, method};

use super::child::Child;
use super::handshake::{Agreement, own_meta};
use super::http::{Aside, HttpConnection, follow, is_about_lost_session, open_beside};
use super::ids::Ids;
use super::listen::keep_listening;
use super::pipe::Pipe;
use super::signals::Signals;
use super::subscribe::{keep_side_subscribed, keep_subscribed, subscribe_beside};
use super::watched::Watched;
use super::wire::{Outgoing, Reply};
use super::{Failure, Sent};

/// For the end of a pipe to answer what it was told last; it is about to lose its standard input.
const LAST_WORDS: Duration = Duration::from_millis(500);

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
    /// The least level of log messages that a client asked for so far, if the server was told.
    level: Mutex<Option<LogLevel>>,
}

/// A connection and the process behind it, if the gateway started one.
#[derive(Debug)]
pub(super) struct Established {
    pub connection: Arc<Connection>,
    pub child: Option<Child>,
}

impl Established {
    /// Starts to listen to a server that some calls have for themselves: what is said there is about them. A
    /// process of its own also knows for itself which resources change.
    pub(super) async fn listen_beside(&self, watched: &Arc<Watched>) {
        self.connection.signals().report_to(Arc::clone(watched));
        self.connection.listen_beside().await;
        if self.child.is_some() && self.connection.revision().era() == Era::Legacy {
            subscribe_beside(Arc::clone(&self.connection), Arc::clone(watched)).await;
        }
    }

    /// Ends the connection, then the process.
    pub(super) async fn end(self, reason: &str) {
        let is_lost = self.connection.signals().is_lost();
        self.connection.close(reason).await;
        match self.child {
            Some(child) if is_lost && child.speaks_itself() => child.stop_lost().await,
            Some(child) => child.stop().await,
            None => {}
        }
    }
}

impl Connection {
    pub(super) fn new(wire: Wire, agreement: Agreement, ids: Ids) -> Self {
        Self { wire, agreement, ids, level: Mutex::default() }
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

    /// What the backend says about a call beside what comes back for it, if it can say anything there.
    pub(super) fn hear_beside(&self, outgoing: &Outgoing) -> Option<Aside> {
        match &self.wire {
            Wire::Pipe(_) => None,
            Wire::Http(http) => http.hear_beside(outgoing),
        }
    }

    /// Sends the answer to a question.
    pub(super) fn answer(&self, text: Bytes) {
        match &self.wire {
            Wire::Pipe(pipe) => pipe.post(text),
            Wire::Http(http) => http.post_answer(text),
        }
    }

    /// Sends a notification; lost if too much waits already, as notifications may be.
    pub(super) fn tell(&self, name: &str, params: &RawJson) {
        match &self.wire {
            Wire::Pipe(pipe) => pipe.notify(name, Some(params)),
            Wire::Http(http) => http.post_later(frame::notification(name, Some(params))),
        }
    }

    /// An id for a request.
    pub(super) fn draw_id(&self) -> u64 {
        self.ids.next()
    }

    /// Asks something on the gateway's own account, within `limit`; a `_meta` of the parameters' own stays.
    pub(super) async fn ask(
        &self,
        name: &'static str,
        mut params: Object,
        limit: Duration,
    ) -> Result<Result<RawJson, RawJson>, Failure> {
        if self.revision().era() == Era::Modern && params.get("_meta").is_none() {
            params.set("_meta", own_meta());
        }
        let params = (!params.is_empty()).then(|| params.to_json());
        let asking = async {
            let outcome = self.ask_once(name, params.clone()).await?;
            match &outcome {
                Err(error) if is_about_lost_session(error) && self.reopen_if_lost().await => {
                    self.ask_once(name, params).await
                }
                _ => Ok(outcome),
            }
        };
        timeout(limit, asking).await.unwrap_or_else(|_| Err(Failure::timeout(Sent::Maybe, limit)))
    }

    async fn ask_once(
        &self,
        name: &'static str,
        params: Option<RawJson>,
    ) -> Result<Result<RawJson, RawJson>, Failure> {
        self.start(&Outgoing::new(self.draw_id(), name, params)).await?.answer().await
    }

    /// Opens another session if the backend does not know the present one any more, which an error that it answered
    /// with suggests; `true` if there is another one now.
    pub(super) async fn reopen_if_lost(&self) -> bool {
        match &self.wire {
            Wire::Pipe(_) => false,
            // In a box: it is big and rarely needed.
            Wire::Http(http) => Box::pin(http.reopen_if_lost()).await,
        }
    }

    /// Tells a legacy server that a client asked for log messages of `level`, unless it tells as much already:
    /// each client hears of its own level and above only.
    pub(super) async fn lower_level(&self, level: LogLevel, limit: Duration) {
        if self.revision().era() == Era::Modern || !self.agreement.offers("logging") {
            return;
        }
        {
            let mut told = self.level.lock();
            if told.is_some_and(|told| told <= level) {
                return;
            }
            *told = Some(level);
        }
        if let Wire::Http(http) = &self.wire {
            http.remember_level(level);
        }
        if let Err(failure) = self.ask(method::SET_LEVEL, level_params(level), limit).await {
            tracing::debug!(%failure, "the backend did not take the log level");
        }
    }

    /// Says something that wants no answer, and once if it was not even sent yet.
    pub(super) fn notify_once(&self, name: &str) {
        match &self.wire {
            Wire::Pipe(pipe) => pipe.notify(name, None),
            Wire::Http(http) => http.post_once(frame::notification(name, None)),
        }
    }

    /// Whether the backend still answers.
    pub(super) async fn check_health(&self, limit: Duration) -> Result<(), Failure> {
        let name = match self.revision().era() {
            Era::Legacy => method::PING,
            Era::Modern => method::DISCOVER,
        };
        match self.ask(name, Object::new(), limit).await {
            // An error is an answer too, and so is a wish for a pause.
            Ok(_outcome) => Ok(()),
            Err(failure) if failure.is_rate_limit() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Starts to listen for what concerns no request, and keeps the backend's subscriptions equal to what
    /// is `watched`. All of it ends with the connection.
    pub(super) fn listen(self: &Arc<Self>, watched: &Arc<Watched>) {
        self.signals().report_to(Arc::clone(watched));
        let (connection, watched) = (Arc::clone(self), Arc::clone(watched));
        if self.revision().era() == Era::Modern {
            tokio::spawn(keep_listening(connection, watched));
            return;
        }
        if let Wire::Http(http) = &self.wire {
            tokio::spawn(follow(Arc::clone(http), Arc::default()));
        }
        tokio::spawn(keep_subscribed(connection, watched));
    }

    /// The same for a session beside the modern connection that everybody shares: what that one does not tell of is
    /// asked of this one.
    pub(super) fn listen_as_side(self: &Arc<Self>, watched: &Arc<Watched>) {
        self.signals().report_to(Arc::clone(watched));
        if let Wire::Http(http) = &self.wire {
            tokio::spawn(follow(Arc::clone(http), Arc::default()));
        }
        if self.agreement.offers("resources") {
            watched.begin_side();
            tokio::spawn(keep_side_subscribed(Arc::clone(self), Arc::clone(watched)));
        }
    }

    async fn listen_beside(&self) {
        if let Wire::Http(http) = &self.wire {
            open_beside(Arc::clone(http)).await;
        }
    }

    /// Ends it, after what was being said: calls in flight learn so, a session is deleted, a process loses its
    /// standard input.
    pub(super) async fn close(&self, reason: &str) {
        match &self.wire {
            Wire::Pipe(pipe) => {
                let _ = timeout(LAST_WORDS, pipe.signals().said()).await;
                pipe.lose(reason);
            }
            Wire::Http(http) => {
                http.signals().lose(reason);
                http.close().await;
            }
        }
    }
}

/// Parameters of `logging/setLevel`.
pub(super) fn level_params(level: LogLevel) -> Object {
    let mut params = Object::new();
    params.set("level", RawJson::of(level.as_str()));
    params
}
