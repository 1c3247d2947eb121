//! How does a call come to a connection that is not everybody's?

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::protocol::{ClientCapabilities, Era, method};

use super::connection::{Connection, Established};
use super::establish::Attempt;
use super::handshake::Refusal;
use super::kept::{Holder, KnowsPrincipal, Use};
use super::lease::Lease;
use super::pool::Entered;
use super::sharing::{Share, Wants};
use super::{Authorizer, Backend, ConnectionMode, Failure, FailureKind, Sent};

/// What a call has before it has leave to send.
pub(super) enum Turn {
    Everybody,
    OneCall(ClientCapabilities),
    Kept(Use),
}

impl Backend {
    /// Waits for the caller's own calls before this one, where they take turns. Nothing that others wait
    /// for is held meanwhile.
    pub(super) async fn turn(&self, shared: &Connection, wants: &Wants) -> Result<Turn, Failure> {
        if self.settings().has_personal_grants() {
            // In a box: most calls need no room for it. First of all, so that nothing is taken from others.
            Box::pin(self.grant_for(wants)).await?;
        }
        match self.share(shared, wants) {
            Share::Everybody => Ok(Turn::Everybody),
            Share::OneCall(capabilities) => Ok(Turn::OneCall(capabilities)),
            Share::Kept(key) => {
                let patience = self.settings().timeouts.call;
                let _waiting = self.lobby.enter(&wants.principal)?;
                self.kept.enter(key, &wants.principal, patience).await.map(Turn::Kept)
            }
        }
    }

    /// The grant that a call goes with: its principal's, where each has its own.
    async fn grant_for(&self, wants: &Wants) -> Result<Option<Arc<Authorizer>>, Failure> {
        match self.grants() {
            Some(grants) if self.settings().has_personal_grants() => {
                grants.for_call(&wants.principal).await.map(Some)
            }
            grants => Ok(grants.map(|grants| Arc::clone(grants.own()))),
        }
    }

    /// How a call comes to its connection.
    pub(super) fn share(&self, shared: &Connection, wants: &Wants) -> Share {
        let speaks_legacy = self.speaks_legacy(shared, wants.era);
        let is_stateful = speaks_legacy || self.has_modern_connections();
        wants.share(self.settings().mode(), is_stateful, speaks_legacy)
    }

    /// A legacy server is told per connection what it may ask; a modern one with each request. A server of
    /// both eras is asked for the client's own, which needs no translation; whether it speaks both shows
    /// when it is asked.
    fn speaks_legacy(&self, shared: &Connection, client: Era) -> bool {
        match (shared.revision().era(), client) {
            (Era::Legacy, _) => true,
            (Era::Modern, Era::Legacy) => !self.only_modern.load(Ordering::Relaxed),
            (Era::Modern, Era::Modern) => false,
        }
    }

    /// Whether the client's era may be another one than that of the connection that everybody uses.
    fn speaks_both(&self, shared: &Connection, wants: &Wants) -> bool {
        wants.era == Era::Legacy
            && shared.revision().era() == Era::Modern
            && self.speaks_legacy(shared, wants.era)
    }

    /// Whether a connection of the modern era can be somebody's: a process can; requests over HTTP belong
    /// to no session, but they may go with somebody's grant.
    fn has_modern_connections(&self) -> bool {
        let is_process = self.settings().is_stdio() && self.settings().mode() != ConnectionMode::Shared;
        is_process || self.settings().has_personal_grants()
    }

    /// The connection on which the call is made.
    pub(super) async fn lease(
        &self,
        shared: Arc<Connection>,
        wants: &Wants,
        turn: Turn,
    ) -> Result<Lease, Failure> {
        let lease = match turn {
            Turn::Everybody if self.speaks_both(&shared, wants) => {
                Lease::shared(self.legacy_side(&shared).await.unwrap_or(shared))
            }
            Turn::Everybody => Lease::shared(shared),
            Turn::OneCall(capabilities) => self.borrow(shared, wants, capabilities).await?,
            Turn::Kept(used) => {
                let open = self.open(&shared, wants, used.capabilities());
                match used.connection(self.settings().concurrency.queue_wait, open).await? {
                    Some(connection) => Lease::kept(connection, used, &wants.principal),
                    None => Lease::shared(shared),
                }
            }
        };
        if let Some(level) = wants.log_level {
            lease.connection().lower_level(level, self.settings().timeouts.connect).await;
        }
        Ok(lease)
    }

    async fn borrow(
        &self,
        shared: Arc<Connection>,
        wants: &Wants,
        capabilities: ClientCapabilities,
    ) -> Result<Lease, Failure> {
        let entered = self.pool.enter(capabilities, self.settings().concurrency.queue_wait).await;
        let room = match entered {
            Some(Entered::Open(borrowed)) => return Ok(Lease::borrowed(borrowed, &wants.principal)),
            Some(Entered::Room(room)) => room,
            None => {
                let message = "every connection that a call can have to itself is in use";
                return Err(Failure::new(FailureKind::Busy, Sent::No, message));
            }
        };
        Ok(match self.open(&shared, wants, capabilities).await? {
            Some(established) => {
                Lease::borrowed(self.pool.lend(capabilities, established, room), &wants.principal)
            }
            None => Lease::shared(shared),
        })
    }

    /// Opens one more connection; none where everybody's does as well.
    async fn open(
        &self,
        shared: &Connection,
        wants: &Wants,
        capabilities: ClientCapabilities,
    ) -> Result<Option<Established>, Failure> {
        self.refuse_if_held()?;
        let grant = Box::pin(self.grant_for(wants)).await?;
        if self.speaks_legacy(shared, wants.era) {
            // In a box: most calls open nothing, and need no room for it.
            match Box::pin(self.attempt(Era::Legacy, capabilities, grant.as_ref()).run_again()).await {
                Ok(established) => {
                    if !capabilities.is_empty() || established.child.is_some() {
                        Box::pin(established.listen_beside(&self.watched)).await;
                    }
                    return Ok(Some(established));
                }
                Err(refusal) if shared.revision().era() == Era::Modern && self.lacks_legacy(&refusal) => {
                    tracing::debug!(
                        backend = self.name(),
                        ?refusal,
                        "the backend does not speak the legacy era"
                    );
                }
                Err(refusal) => return Err(self.not_opened(refusal)),
            }
        }
        if !self.has_modern_connections() {
            return Ok(None);
        }
        let attempt = self.attempt(Era::Modern, ClientCapabilities::default(), grant.as_ref());
        let modern = Box::pin(attempt.run_again()).await;
        modern.map(Some).map_err(|refusal| self.not_opened(refusal))
    }

    /// Whether one that speaks the modern era is to be asked for that instead. Only a refusal of `initialize` as
    /// such is remembered for everybody; a process may also have ended over what it does not know.
    pub(super) fn lacks_legacy(&self, refusal: &Refusal) -> bool {
        let is_refused = refusal.is_of_the_era();
        if is_refused {
            self.only_modern.store(true, Ordering::Relaxed);
        }
        is_refused || (self.settings().is_stdio() && !matches!(refusal, Refusal::NotStarted(_)))
    }

    fn not_opened(&self, refusal: Refusal) -> Failure {
        if self.settings().is_stdio() && !matches!(refusal, Refusal::NotStarted(_)) {
            self.crashed();
        }
        refusal.into_failure()
    }

    pub(super) fn attempt<'a>(
        &'a self,
        era: Era,
        capabilities: ClientCapabilities,
        authorizer: Option<&'a Arc<Authorizer>>,
    ) -> Attempt<'a> {
        Attempt {
            settings: self.settings(),
            ids: &self.ids,
            tail: &self.tail,
            known: Some(era),
            capabilities,
            authorizer,
        }
    }

    /// Ends what is kept for a session: its client is gone.
    pub fn end_session(&self, session: u64) {
        self.each_replica(|replica| replica.end_session(session));
        self.kept.end(&Holder::Session(session));
    }

    /// Ends what is kept for principals that are not let in any more: the next client of such a name must not meet it.
    pub fn dismiss(&self, is_known: &KnowsPrincipal) {
        self.each_replica(|replica| replica.dismiss(is_known));
        self.kept.dismiss(is_known);
    }

    /// Tells the server that a session's roots changed, where it has a connection of its own.
    pub fn roots_changed(&self, session: u64) {
        self.each_replica(|replica| replica.roots_changed(session));
        for connection in self.kept.of(&Holder::Session(session)) {
            connection.notify_once(method::ROOTS_CHANGED);
        }
    }
}
