//! Which token goes with a request, and what follows when the backend refuses it?
//!
//! One for the gateway, and one for each principal that has a grant of its own.
//!
//! A refusal (HTTP 401, or 403 for want of scopes) means that the request was not looked at, so it is sent
//! again when there is another token. However many requests meet the same refusal, one renewal follows; it
//! runs to its end even if nobody waits any more, because a refresh token can be used only once.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::time::sleep;
use url::Url;

use super::super::{BackendSettings, Failure, FailureKind, Sent};
use super::callback::Callback;
use super::challenge::Challenge;
use super::connect::Pending;
use super::discovery::Server;
use super::grant::{Kept, now};
use super::grants;
use super::holding::{Holding, LOOK};
use super::turn::Turn;
use super::vault::Vault;
use super::{GrantType, OAuthError, OAuthSettings};
use crate::telemetry::LogLimit;

/// Times that one request is sent again after a refusal: for a new token, and for more scopes.
const RETRIES: usize = 2;

const RENEWAL_LINES: LogLimit = LogLimit::new("a token could not be renewed", 1);

/// The part of a response that says whether the backend let the request in.
pub(in super::super) trait Head {
    fn head(&self) -> (StatusCode, &HeaderMap);
}

/// Sends a request, with a token if the backend is one that wants them. `attempt` is given the value of
/// `Authorization`, and called again when the backend refused the first.
///
/// # Errors
/// The request did not reach the backend, or the backend does not let the gateway in.
pub(in super::super) async fn send<R: Head, F: Future<Output = Result<R, Failure>>>(
    authorizer: Option<&Arc<Authorizer>>,
    attempt: impl Fn(Option<HeaderValue>) -> F,
) -> Result<R, Failure> {
    let Some(authorizer) = authorizer else { return attempt(None).await };
    // In boxes: most requests go through with the token there is, or need none.
    let kept = match authorizer.lasting() {
        Some(kept) => kept,
        None => Box::pin(authorizer.current()).await,
    };
    let response = attempt(kept.header()).await?;
    match authorizer.challenge_in(&response) {
        None => Ok(response),
        Some(challenge) => Box::pin(authorizer.insist(kept, challenge, attempt)).await,
    }
}

/// The gateway's standing at one backend, or that of one of its principals.
pub struct Authorizer {
    pub(super) backend: String,
    /// What `switchyard connect` is to be given for it.
    pub(super) connect: String,
    pub(super) url: Url,
    pub(super) settings: OAuthSettings,
    pub(super) holding: Holding,
    /// Whether it is a principal's own: what it meets then concerns nobody else.
    is_personal: bool,
    /// Whether the server runs in several places, of which `url` is the first.
    is_for_several: bool,
    /// The header of the last refusal.
    pub(super) challenge: Mutex<Option<String>>,
    /// Taken for a renewal: one at a time.
    pub(super) turn: tokio::sync::Mutex<Turn>,
    /// What a person is waited for.
    waits: Mutex<Option<OAuthError>>,
}

impl Authorizer {
    /// The gateway's own, for all places of a backend, if it can want authorization. Reads what is kept; blocks for
    /// as long as that takes.
    pub(super) fn of(backend: &BackendSettings, vault: &Arc<Vault>) -> Option<Arc<Self>> {
        let (remote, name) = (backend.transport.remote()?, &backend.name);
        let (url, settings) = (&remote.url, remote.auth.as_ref()?);
        Some(Arc::new(Self {
            backend: name.clone(),
            connect: grants::arguments(name, None),
            url: url.clone(),
            settings: settings.clone(),
            holding: Holding::read(vault.slot(name, url, None), name),
            is_personal: false,
            is_for_several: !backend.replicas.is_empty(),
            challenge: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            waits: Mutex::default(),
        }))
    }

    /// That of a principal, at the same backend. Reads what is kept; blocks for as long as that takes.
    pub(super) fn of_principal(&self, vault: &Arc<Vault>, principal: &str) -> Self {
        let slot = vault.slot(&self.backend, &self.url, Some(principal));
        Self {
            backend: self.backend.clone(),
            connect: grants::arguments(&self.backend, Some(principal)),
            url: self.url.clone(),
            settings: self.settings.clone(),
            holding: Holding::read(slot, &self.backend),
            is_personal: true,
            is_for_several: self.is_for_several,
            challenge: Mutex::new(self.challenge.lock().clone()),
            turn: tokio::sync::Mutex::default(),
            waits: Mutex::default(),
        }
    }

    /// Why nothing can be sent, if there is no grant. What another process took away or
    /// replaced counts within [`LOOK`], and what it kept where there was none at once.
    pub(super) async fn lacking(&self) -> Option<Failure> {
        let read = self.holding.look().await;
        let is_there = self.holding.has_token();
        (!is_there).then(|| self.failure(&read.err().unwrap_or_else(|| self.not_connected())))
    }

    /// Finds the authorization server, by what a refusal said of it. Which of several places refused is chance, and
    /// it may have spoken of itself only; then the first one is asked.
    pub(super) async fn discover(&self, header: Option<&str>) -> Result<Server, OAuthError> {
        match Server::discover(&self.url, &self.settings, header).await {
            Err(_) if self.is_for_several && header.is_some() => {
                Server::discover(&self.url, &self.settings, None).await
            }
            found => found,
        }
    }

    /// Why calls are refused while only a person can help; `None` otherwise.
    pub(in super::super) fn refusal(&self) -> Option<Failure> {
        self.waits.lock().as_ref().map(|error| self.failure(error))
    }

    /// Waits until another process was let in; for ever if no person is waited for.
    pub(in super::super) async fn connected_elsewhere(&self) {
        // Taken once: whoever else waits here may be the one that reads the new token in.
        let before = self.holding.token();
        if !self.waits_for_a_person() {
            std::future::pending().await
        }
        loop {
            sleep(LOOK).await;
            if self.holding.has_another_than(before.as_deref()).await.unwrap_or(false) {
                return;
            }
        }
    }

    /// Sends a request again that was refused, with what the refusals ask for.
    async fn insist<R: Head, F: Future<Output = Result<R, Failure>>>(
        self: &Arc<Self>,
        mut kept: Arc<Kept>,
        mut challenge: Challenge,
        attempt: impl Fn(Option<HeaderValue>) -> F,
    ) -> Result<R, Failure> {
        for left in (0..=RETRIES).rev() {
            let used = kept.grant.as_ref().map(|grant| grant.access_token.clone());
            self.renew(used, Some(challenge)).await.map_err(|error| self.give_up(&error))?;
            if left == 0 {
                break;
            }
            kept = self.current().await;
            let response = attempt(kept.header()).await?;
            challenge = match self.challenge_in(&response) {
                None => return Ok(response),
                // A token that was made for this request and is refused: another one would be, too.
                Some(Challenge::Token(_)) => break,
                Some(challenge) => challenge,
            };
        }
        Err(self.give_up(&self.not_connected()))
    }

    /// What the backend wants before it answers; whoever is let in waits for nobody.
    fn challenge_in(&self, response: &impl Head) -> Option<Challenge> {
        let (status, headers) = response.head();
        let challenge = Challenge::read(status, headers, &self.url);
        if challenge.is_none() {
            *self.waits.lock() = None;
        }
        challenge
    }

    /// What to send as it is, unless it ends soon.
    fn lasting(&self) -> Option<Arc<Kept>> {
        let kept = self.holding.kept();
        let is_ending = kept.grant.as_ref().is_some_and(|grant| grant.is_ending(now()));
        (!is_ending).then_some(kept)
    }

    /// What to send: renewed if it ends soon. A token that cannot be renewed is sent as it is: the backend
    /// may know better when it ends.
    async fn current(self: &Arc<Self>) -> Arc<Kept> {
        if let Some(kept) = self.lasting() {
            return kept;
        }
        let kept = self.holding.kept();
        let Some(grant) = kept.grant.as_ref() else { return kept };
        if grant.refresh_token.is_none() && self.is_person() {
            return kept;
        }
        if let Err(error) = self.renew(Some(grant.access_token.clone()), None).await
            && RENEWAL_LINES.admits(&self.backend)
        {
            tracing::warn!(backend = self.backend, %error, "the token ends and could not be renewed");
        }
        self.holding.kept()
    }

    /// Gets another token than the one that was `used`, once for all who want one.
    async fn renew(
        self: &Arc<Self>,
        used: Option<String>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        let authorizer = Arc::clone(self);
        let renewal = tokio::spawn(async move { authorizer.take_turn(used, challenge).await });
        renewal.await.unwrap_or_else(|_| Err(self.not_connected()))
    }

    /// Begins to let the gateway in: finds the authorization server and registers there.
    ///
    /// # Errors
    /// There is no authorization server that can be used.
    pub async fn begin(&self, redirect_uri: &str) -> Result<Pending, OAuthError> {
        self.holding.reload().await?;
        let challenge = self.challenge.lock().clone();
        let server = self.discover(challenge.as_deref()).await?;
        let pending = Pending::begin(server, &self.settings, &self.holding.kept(), redirect_uri).await?;
        if pending.is_registered() {
            let (issuer, client) = (pending.issuer().to_owned(), pending.client().clone());
            let _only_process = self.holding.lock().await?;
            self.holding.update(|kept| drop(kept.registered.insert(issuer, client))).await?;
        }
        Ok(pending)
    }

    /// Ends it with what the browser brought back, and keeps the grant.
    ///
    /// # Errors
    /// The person or the authorization server refused, or the answer must not be believed.
    pub async fn finish(&self, pending: Pending, callback: Callback) -> Result<(), OAuthError> {
        let grant = pending.finish(callback).await?;
        let _only_process = self.holding.lock().await?;
        let change = |kept: &mut Kept| {
            kept.wanted.clear();
            kept.grant = Some(grant);
        };
        self.holding.update(change).await?;
        *self.waits.lock() = None;
        Ok(())
    }

    /// Whether a person is to be asked for more than what was granted.
    pub fn wants_scopes(&self) -> bool {
        !self.holding.kept().wanted.is_empty()
    }

    /// Whether nothing goes on before a person let the gateway in.
    pub fn waits_for_a_person(&self) -> bool {
        self.waits.lock().is_some()
    }

    /// The port that the browser comes back to, if that was settled.
    pub fn callback_port(&self) -> Option<u16> {
        self.settings.callback_port
    }

    /// Whether a person lets the gateway in, and not its own credentials.
    pub fn is_person(&self) -> bool {
        self.settings.grant == GrantType::AuthorizationCode
    }

    /// A server that was refused by none before and names no authorization server may take a key instead.
    pub(super) fn not_connected(&self) -> OAuthError {
        let names_server =
            self.challenge.lock().as_ref().is_some_and(|header| header.contains("resource_metadata"));
        match names_server || self.holding.has_token() || !self.is_person() {
            true => OAuthError::NotConnected(self.connect.clone()),
            false => OAuthError::NoCredentials(self.connect.clone()),
        }
    }

    fn give_up(&self, error: &OAuthError) -> Failure {
        if error.needs_a_person() {
            *self.waits.lock() = Some(error.clone());
        }
        self.failure(error)
    }

    /// What a call is told. Trouble with the gateway's own grant is the backend's: nobody is served, and
    /// connecting anew finds out when it is over.
    fn failure(&self, error: &OAuthError) -> Failure {
        let kind = match (error.needs_a_person(), self.is_personal) {
            (true, _) => FailureKind::NotConnected,
            (false, true) => FailureKind::NotAuthorized,
            (false, false) => FailureKind::Unavailable,
        };
        Failure::new(kind, Sent::No, error.to_string())
    }
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorizer").field("backend", &self.backend).finish_non_exhaustive()
    }
}
