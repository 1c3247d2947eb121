//! How do clients of the legacy era share a connection to a server that speaks both?
//!
//! A server of both eras may offer in one what it does not offer in the other, and a client of the legacy era knows only
//! what it would meet without a gateway. So beside the modern connection that everybody shares there is a session that
//! all of these clients share, opened when the first of them calls. Only over HTTP, where a session is cheap: a second
//! process would be another server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::protocol::{ClientCapabilities, Era};

use super::connection::Connection;
use super::{Backend, ConnectionMode, TransportSettings};

/// Until a session is tried for again that could not be opened, for a reason that says nothing of the server's eras.
const AGAIN: Duration = Duration::from_secs(30);

/// The legacy session of a server that everybody else speaks to in the modern era.
#[derive(Debug, Default)]
pub(super) struct LegacySide {
    connection: ArcSwapOption<Connection>,
    /// Held while it is opened; when it may be tried again.
    not_before: Mutex<Option<Instant>>,
    /// Whether there was one since the gateway started: then it is opened again with the next connection.
    is_used: AtomicBool,
}

impl LegacySide {
    fn open(&self) -> Option<Arc<Connection>> {
        self.connection.load_full().filter(|connection| !connection.signals().is_lost())
    }
}

impl Backend {
    /// The session that clients of the legacy era share; none where the `shared` connection does as well.
    pub(super) async fn legacy_side(&self, shared: &Connection) -> Option<Arc<Connection>> {
        if !self.may_have_legacy_side(shared) {
            return None;
        }
        match self.legacy_side.open() {
            Some(open) => Some(open),
            // In a box, made only when needed: what opens a connection is large, and calls pass here.
            None => Box::pin(self.open_legacy_side(shared)).await,
        }
    }

    async fn open_legacy_side(&self, shared: &Connection) -> Option<Arc<Connection>> {
        let mut not_before = self.legacy_side.not_before.lock().await;
        if let Some(open) = self.legacy_side.open() {
            return Some(open);
        }
        let is_early = not_before.is_some_and(|time| Instant::now() < time);
        if is_early || shared.signals().is_lost() || !self.may_have_legacy_side(shared) {
            return None;
        }
        let attempt = self.attempt(Era::Legacy, ClientCapabilities::default(), self.authorizer());
        match attempt.run_again().await {
            Ok(established) => {
                let connection = established.connection;
                connection.listen_as_side(&self.watched);
                self.legacy_side.is_used.store(true, Ordering::Relaxed);
                self.legacy_side.connection.store(Some(Arc::clone(&connection)));
                Some(connection)
            }
            Err(refusal) => {
                tracing::debug!(
                    backend = self.name(),
                    ?refusal,
                    "no legacy session beside the modern connection"
                );
                if !self.lacks_legacy(&refusal) {
                    *not_before = Some(Instant::now() + AGAIN);
                }
                None
            }
        }
    }

    fn may_have_legacy_side(&self, shared: &Connection) -> bool {
        let settings = self.settings();
        shared.revision().era() == Era::Modern
            && matches!(settings.transport, TransportSettings::Http { .. })
            && settings.mode() == ConnectionMode::Shared
            && !self.only_modern.load(Ordering::Relaxed)
    }

    /// Opens the session again that was there with the connection before, because of what is watched on it.
    pub(super) async fn reopen_legacy_side(&self, shared: &Connection) {
        if self.legacy_side.is_used.load(Ordering::Relaxed) {
            self.legacy_side(shared).await;
        }
    }

    /// Ends the session with the connection beside which it was opened.
    pub(super) async fn close_legacy_side(&self, reason: &str) {
        self.watched.forget_side();
        if let Some(connection) = self.legacy_side.connection.swap(None) {
            connection.close(reason).await;
        }
    }

    /// Opens the session for clients of the legacy era that subscribe, if the server is one of both eras.
    pub async fn meet_legacy_clients(&self) {
        match self.replicas() {
            Some(replicas) => {
                for replica in replicas.each() {
                    replica.meet_alone().await;
                }
            }
            None => self.meet_alone().await,
        }
    }

    async fn meet_alone(&self) {
        if let Ok(shared) = self.state().connection() {
            self.legacy_side(&shared).await;
        }
    }

    /// Whether such a session may tell of changes of resources.
    pub fn tells_legacy_clients(&self) -> bool {
        let tells = |side: Arc<Connection>| side.agreement().offers("resources");
        let alone = |backend: &Self| backend.legacy_side.open().is_some_and(tells);
        self.replicas().map_or_else(|| alone(self), |replicas| replicas.each().any(alone))
    }
}
