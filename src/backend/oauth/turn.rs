//! Who renews, and with what? One request at a time takes a turn; those that waited find the new token.

use std::time::Duration;

use tokio::time::Instant;

use super::OAuthError;
use super::authorizer::Authorizer;
use super::challenge::Challenge;
use super::discovery::Server;
use super::grant::{Grant, union};
use super::renew::Refreshed;

/// How long a failed renewal stands for everybody who wanted the same.
const FAILED: Duration = Duration::from_secs(1);

/// What one renewal leaves to the next.
#[derive(Default)]
pub(super) struct Turn {
    /// The authorization server that was found last.
    server: Option<Server>,
    failed: Option<Failed>,
}

struct Failed {
    /// The token that was to be replaced.
    used: Option<String>,
    at: Instant,
    error: OAuthError,
}

impl Turn {
    fn failed_before(&self, used: Option<&str>) -> Option<OAuthError> {
        let failed = self.failed.as_ref()?;
        (failed.used.as_deref() == used && failed.at.elapsed() < FAILED).then(|| failed.error.clone())
    }
}

impl Authorizer {
    /// Replaces the token that was `used`, unless somebody else did.
    pub(super) async fn take_turn(
        &self,
        used: Option<String>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        let mut turn = self.turn.lock().await;
        if self.holding.has_another_than(used.as_deref()).await? {
            return Ok(());
        }
        let is_for_scopes = matches!(challenge, Some(Challenge::Scopes { .. }));
        if let Some(error) = turn.failed_before(used.as_deref()).filter(|_| !is_for_scopes) {
            return Err(error);
        }
        if let Some(challenge) = &challenge {
            *self.challenge.lock() = challenge.header().map(str::to_owned);
        }
        let renewed = match (self.is_person(), challenge) {
            (true, Some(Challenge::Scopes { scopes, .. })) => self.ask_for_scopes(scopes).await,
            (true, challenge) => self.refresh(&mut turn, used.as_deref(), challenge).await,
            (false, challenge) => self.ask_as_itself(used.as_deref(), challenge).await,
        };
        if let Err(error) = &renewed {
            let failed = Failed { used, at: Instant::now(), error: error.clone() };
            *turn = Turn { server: None, failed: Some(failed) };
        }
        renewed
    }

    /// With the refresh token.
    async fn refresh(
        &self,
        turn: &mut Turn,
        used: Option<&str>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        let can_refresh = |grant: &Grant| grant.refresh_token.is_some();
        if !self.holding.kept().grant.as_ref().is_some_and(can_refresh) {
            return Err(self.not_connected());
        }
        let _only_process = self.holding.lock().await?;
        if self.holding.has_another_than(used).await? {
            return Ok(());
        }
        let server = self.server(turn, challenge.as_ref()).await?;
        // A refresh token is shown to nobody but who issued it.
        let grant = self.holding.kept().grant.clone().filter(|grant| grant.issuer == server.issuer);
        let grant = grant.ok_or_else(|| self.not_connected())?;
        match server.refresh(&grant).await? {
            Refreshed::Anew(renewed) => {
                self.holding.update(|kept| kept.grant = Some(*renewed)).await?;
                tracing::debug!(backend = self.backend, "the token was refreshed");
                Ok(())
            }
            Refreshed::Rejected => {
                let spent = Grant { refresh_token: None, ..grant };
                self.holding.update(|kept| kept.grant = Some(spent)).await?;
                Err(self.not_connected())
            }
        }
    }

    /// The authorization server: the one that was found before, unless the backend refused since.
    async fn server<'a>(
        &self,
        turn: &'a mut Turn,
        challenge: Option<&Challenge>,
    ) -> Result<&'a mut Server, OAuthError> {
        let server = match turn.server.take().filter(|_| challenge.is_none()) {
            Some(server) => server,
            None => self.discover(challenge.and_then(Challenge::header)).await?,
        };
        Ok(turn.server.insert(server))
    }

    /// With the gateway's own credentials; for more scopes once, not again for the same.
    async fn ask_as_itself(
        &self,
        used: Option<&str>,
        challenge: Option<Challenge>,
    ) -> Result<(), OAuthError> {
        let _only_process = self.holding.lock().await?;
        if self.holding.has_another_than(used).await? {
            return Ok(());
        }
        let wanted = challenge.as_ref().map(Challenge::scopes).unwrap_or_default();
        let granted = self.holding.kept().grant.clone().map(|grant| grant.scopes).unwrap_or_default();
        let scopes = match wanted {
            [] => self.settings.scopes.clone(),
            _ if wanted.iter().all(|scope| granted.contains(scope)) => {
                return Err(OAuthError::RefusesScopes(wanted.join(" ")));
            }
            _ => union(&granted, wanted),
        };
        let server = self.discover(challenge.as_ref().and_then(Challenge::header)).await?;
        let grant = server.client_credentials(&self.settings, scopes).await?;
        self.holding.update(|kept| kept.grant = Some(grant)).await
    }

    /// Remembers what to ask a person for.
    async fn ask_for_scopes(&self, wanted: Vec<String>) -> Result<(), OAuthError> {
        let kept = self.holding.kept();
        let grant = kept.grant.as_ref().ok_or_else(|| self.not_connected())?;
        let scopes = wanted.join(" ");
        if wanted.iter().all(|scope| grant.scopes.contains(scope)) {
            return Err(OAuthError::RefusesScopes(scopes));
        }
        let _only_process = self.holding.lock().await?;
        self.holding.update(|kept| kept.wanted = union(&kept.wanted, &wanted)).await?;
        Err(OAuthError::LacksScopes { connect: self.connect.clone(), scopes })
    }
}
