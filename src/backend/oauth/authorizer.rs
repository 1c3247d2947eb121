//! Which token goes with a request, and what follows when the backend refuses it?
//!
//! A refusal (HTTP 401, or 403 for want of scopes) means that the request was not looked at, so it is sent
//! again when there is another token. However many requests meet the same refusal, one renewal follows; it
//! runs to its end even if nobody waits any more, because a refresh token can be used only once.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

use super::super::{Failure, FailureKind, Sent};
use super::callback::Callback;
use super::challenge::Challenge;
use super::connect::Pending;
use super::discovery::Server;
use super::grant::{Grant, Kept, now, union};
use super::renew::Refreshed;
use super::vault::{SHARED, Slot, Stamp, Vault};
use super::{GrantType, OAuthError, OAuthSettings};

/// Times that one request is sent again after a refusal: for a new token, and for more scopes.
const RETRIES: usize = 2;
/// How often a gateway that waits for its person looks whether another process was let in.
const LOOK: Duration = Duration::from_millis(500);
/// How long a failed renewal stands for everybody who wanted the same.
const FAILED: Duration = Duration::from_secs(1);

/// The part of a response that says whether the backend let the request in.
pub(in super::super) trait Head {
    fn head(&self) -> (StatusCode, &HeaderMap);
}

impl Head for reqwest::Response {
    fn head(&self) -> (StatusCode, &HeaderMap) {
        (self.status(), self.headers())
    }
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
    match authorizer {
        Some(authorizer) => authorizer.send(attempt).await,
        None => attempt(None).await,
    }
}

/// The gateway's standing at one backend.
pub struct Authorizer {
    backend: String,
    url: Url,
    settings: OAuthSettings,
    slot: Slot,
    held: Mutex<Held>,
    /// Taken for a renewal: one at a time.
    turn: tokio::sync::Mutex<Turn>,
    /// What a person is waited for.
    waits: Mutex<Option<OAuthError>>,
}

/// What one renewal leaves to the next.
#[derive(Default)]
struct Turn {
    /// The authorization server that was found last.
    server: Option<Server>,
    /// The token that was to be replaced, when, and why it was not.
    failed: Option<(Option<String>, Instant, OAuthError)>,
}

/// What is known of the grant now.
struct Held {
    kept: Arc<Kept>,
    stamp: Stamp,
    challenge: Option<String>,
}

impl Authorizer {
    /// Reads what is kept; blocks for as long as that takes.
    pub(in super::super) fn new(
        backend: &str,
        url: &Url,
        settings: &OAuthSettings,
        vault: &Arc<Vault>,
    ) -> Arc<Self> {
        let slot = vault.slot(backend, url, SHARED);
        let stamp = slot.stamp();
        let kept = slot.load().unwrap_or_else(|error| {
            tracing::warn!(backend, %error, "the kept grant cannot be read");
            Kept::default()
        });
        Arc::new(Self {
            backend: backend.to_owned(),
            url: url.clone(),
            settings: settings.clone(),
            slot,
            held: Mutex::new(Held { kept: Arc::new(kept), stamp, challenge: None }),
            turn: tokio::sync::Mutex::default(),
            waits: Mutex::default(),
        })
    }

    /// Why calls are refused while only a person can help; `None` otherwise.
    pub(in super::super) fn refusal(&self) -> Option<Failure> {
        self.waits.lock().as_ref().map(failure)
    }

    /// Waits until another process was let in; for ever if no person is waited for.
    pub(in super::super) async fn connected_elsewhere(&self) {
        while self.refusal().is_some() {
            sleep(LOOK).await;
            let before = self.token();
            if self.reload().await.is_ok() && self.token() != before {
                return;
            }
        }
        std::future::pending().await
    }

    async fn send<R: Head, F: Future<Output = Result<R, Failure>>>(
        self: &Arc<Self>,
        attempt: impl Fn(Option<HeaderValue>) -> F,
    ) -> Result<R, Failure> {
        let mut renewed = false;
        for _ in 0..=RETRIES {
            let grant = self.grant().await;
            let response = attempt(grant.as_ref().and_then(Grant::header)).await?;
            let (status, headers) = response.head();
            let Some(challenge) = Challenge::read(status, headers, &self.url) else {
                *self.waits.lock() = None;
                return Ok(response);
            };
            // A token that was made for this request and is refused: another one would be, too.
            if renewed && matches!(challenge, Challenge::Token(_)) {
                break;
            }
            renewed = true;
            let used = grant.map(|grant| grant.access_token);
            self.renew(used, Some(challenge)).await.map_err(|error| self.give_up(&error))?;
        }
        Err(self.give_up(&OAuthError::NotConnected(self.backend.clone())))
    }

    /// What to send: renewed if it ends soon. One that cannot be renewed is sent as it is: the backend may
    /// know better when it ends.
    async fn grant(self: &Arc<Self>) -> Option<Grant> {
        let grant = self.kept().grant.clone()?;
        if !grant.is_ending(now()) || (grant.refresh_token.is_none() && self.is_person()) {
            return Some(grant);
        }
        if let Err(error) = self.renew(Some(grant.access_token.clone()), None).await {
            tracing::warn!(backend = self.backend, %error, "the token ends and could not be renewed");
        }
        self.kept().grant.clone()
    }

    /// Gets another token than the one that was `used`, once for all who want one.
    async fn renew(
        self: &Arc<Self>,
        used: Option<String>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        let authorizer = Arc::clone(self);
        let renewal = tokio::spawn(async move {
            let mut turn = authorizer.turn.lock().await;
            authorizer.take_turn(&mut turn, used, challenge).await
        });
        renewal.await.unwrap_or_else(|_| Err(OAuthError::NotConnected(self.backend.clone())))
    }

    async fn take_turn(
        &self,
        turn: &mut Turn,
        used: Option<String>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        if self.has_another_than(&used).await? {
            return Ok(());
        }
        let scopes = challenge.as_ref().map(Challenge::scopes).unwrap_or_default().to_vec();
        if let Some((token, at, error)) = &turn.failed
            && *token == used
            && at.elapsed() < FAILED
            && scopes.is_empty()
        {
            return Err(error.clone());
        }
        if let Some(challenge) = &challenge {
            self.held.lock().challenge = challenge.header().map(str::to_owned);
        }
        let renewed = match self.is_person() {
            true => self.renew_for_a_person(turn, &used, challenge).await,
            false => self.renew_as_itself(&used, challenge, scopes).await,
        };
        if let Err(error) = &renewed {
            *turn = Turn { server: None, failed: Some((used, Instant::now(), error.clone())) };
        }
        renewed
    }

    async fn renew_for_a_person(
        &self,
        turn: &mut Turn,
        used: &Option<String>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        let not_connected = || OAuthError::NotConnected(self.backend.clone());
        let grant = self.kept().grant.clone().ok_or_else(not_connected)?;
        if let Some(Challenge::Scopes { scopes, .. }) = challenge {
            return self.ask_for_scopes(&grant, scopes).await;
        }
        if grant.refresh_token.is_none() {
            return Err(not_connected());
        }
        let _only_process = self.slot.lock().await?;
        if self.has_another_than(used).await? {
            return Ok(());
        }
        let server = self.server(turn, challenge.as_ref()).await?;
        let grant = self.kept().grant.clone().ok_or_else(not_connected)?;
        self.refresh(server, grant).await
    }

    async fn renew_as_itself(
        &self,
        used: &Option<String>,
        challenge: Option<Challenge>,
        scopes: Vec<String>,
    ) -> Result<(), OAuthError> {
        let _only_process = self.slot.lock().await?;
        if self.has_another_than(used).await? {
            return Ok(());
        }
        let header = challenge.as_ref().and_then(Challenge::header);
        let server = Server::discover(&self.url, &self.settings, header).await?;
        self.ask_as_itself(server, scopes).await
    }

    /// The authorization server: the one that was found before, unless the backend refused since.
    async fn server<'a>(
        &self,
        turn: &'a mut Turn,
        challenge: Option<&Challenge>,
    ) -> Result<&'a mut Server, OAuthError> {
        let known = turn.server.take().filter(|_| challenge.is_none());
        let server = match known {
            Some(server) => server,
            None => {
                let header = challenge.and_then(Challenge::header);
                Server::discover(&self.url, &self.settings, header).await?
            }
        };
        Ok(turn.server.insert(server))
    }

    /// Whether there is another token than this one by now.
    async fn has_another_than(&self, used: &Option<String>) -> Result<bool, OAuthError> {
        self.reload().await?;
        let token = self.token();
        Ok(token.is_some() && token != *used)
    }

    async fn refresh(&self, server: &mut Server, grant: Grant) -> Result<(), OAuthError> {
        // A refresh token is shown to nobody but who issued it.
        if grant.issuer != server.issuer {
            return Err(OAuthError::NotConnected(self.backend.clone()));
        }
        let renewed = match server.refresh(&grant).await? {
            Refreshed::Anew(renewed) => *renewed,
            Refreshed::Rejected => {
                let spent = Grant { refresh_token: None, ..grant };
                self.update(|kept| kept.grant = Some(spent)).await?;
                return Err(OAuthError::NotConnected(self.backend.clone()));
            }
        };
        self.update(|kept| kept.grant = Some(renewed)).await?;
        tracing::debug!(backend = self.backend, "the token was refreshed");
        Ok(())
    }

    async fn ask_as_itself(&self, server: Server, wanted: Vec<String>) -> Result<(), OAuthError> {
        let granted = self.kept().grant.clone().map(|grant| grant.scopes).unwrap_or_default();
        if !wanted.is_empty() && wanted.iter().all(|scope| granted.contains(scope)) {
            return Err(OAuthError::RefusesScopes(wanted.join(" ")));
        }
        let scopes = match wanted.is_empty() {
            true => self.settings.scopes.clone(),
            false => union(&granted, &wanted),
        };
        let grant = server.client_credentials(&self.settings, scopes).await?;
        self.update(|kept| kept.grant = Some(grant)).await
    }

    /// Remembers what to ask a person for.
    async fn ask_for_scopes(&self, grant: &Grant, wanted: Vec<String>) -> Result<(), OAuthError> {
        let scopes = wanted.join(" ");
        if wanted.iter().all(|scope| grant.scopes.contains(scope)) {
            return Err(OAuthError::RefusesScopes(scopes));
        }
        let _only_process = self.slot.lock().await?;
        self.update(|kept| kept.wanted = union(&kept.wanted, &wanted)).await?;
        Err(OAuthError::LacksScopes { backend: self.backend.clone(), scopes })
    }

    /// Begins to let the gateway in: finds the authorization server and registers there.
    ///
    /// # Errors
    /// There is no authorization server that can be used.
    pub async fn begin(&self, redirect_uri: &str) -> Result<Pending, OAuthError> {
        self.reload().await?;
        let challenge = self.held.lock().challenge.clone();
        let server = Server::discover(&self.url, &self.settings, challenge.as_deref()).await?;
        let pending = Pending::begin(server, &self.settings, &self.kept(), redirect_uri).await?;
        if self.settings.client_id.is_none() {
            let (issuer, client) = (pending.issuer().to_owned(), pending.client().clone());
            let _only_process = self.slot.lock().await?;
            self.update(|kept| drop(kept.registered.insert(issuer, client))).await?;
        }
        Ok(pending)
    }

    /// Ends it with what the browser brought back, and keeps the grant.
    ///
    /// # Errors
    /// The person or the authorization server refused, or the answer must not be believed.
    pub async fn finish(&self, pending: Pending, callback: Callback) -> Result<(), OAuthError> {
        let grant = pending.finish(callback).await?;
        let _only_process = self.slot.lock().await?;
        self.update(|kept| {
            kept.wanted.clear();
            kept.grant = Some(grant);
        })
        .await?;
        *self.waits.lock() = None;
        Ok(())
    }

    /// Whether a person is to be asked for more than what was granted.
    pub fn wants_scopes(&self) -> bool {
        !self.kept().wanted.is_empty()
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

    fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.held.lock().kept)
    }

    fn token(&self) -> Option<String> {
        self.kept().grant.as_ref().map(|grant| grant.access_token.clone())
    }

    /// Takes in what another process kept.
    async fn reload(&self) -> Result<(), OAuthError> {
        let stamp = self.slot.stamp();
        if stamp == self.held.lock().stamp {
            return Ok(());
        }
        let slot = self.slot.clone();
        let kept =
            tokio::task::spawn_blocking(move || slot.load()).await.map_err(std::io::Error::other)??;
        let mut held = self.held.lock();
        (held.kept, held.stamp) = (Arc::new(kept), stamp);
        Ok(())
    }

    /// Changes what is held and keeps it. The caller holds the lock between processes.
    async fn update(&self, change: impl FnOnce(&mut Kept)) -> Result<(), OAuthError> {
        self.reload().await?;
        let mut kept = (*self.kept()).clone();
        change(&mut kept);
        let kept = Arc::new(kept);
        // Held even if the disk is full: a refresh token that was used is the only one there is.
        self.held.lock().kept = Arc::clone(&kept);
        let slot = self.slot.clone();
        let saving = tokio::task::spawn_blocking(move || slot.save(&kept).map(|()| slot.stamp()));
        let stamp = saving.await.map_err(std::io::Error::other)??;
        self.held.lock().stamp = stamp;
        Ok(())
    }

    fn give_up(&self, error: &OAuthError) -> Failure {
        if error.needs_a_person() {
            *self.waits.lock() = Some(error.clone());
        }
        failure(error)
    }
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorizer").field("backend", &self.backend).finish_non_exhaustive()
    }
}

fn failure(error: &OAuthError) -> Failure {
    let kind = if error.needs_a_person() { FailureKind::NotConnected } else { FailureKind::Unavailable };
    Failure::new(kind, Sent::No, error.to_string())
}
