//! How does a person let the gateway in? Authorization code with PKCE (MCP 2026-07-28,
//! basic/authorization): a URL to open, and what the browser brings back.

use rmcp::transport::auth::OAuthClientConfig;
use secrecy::ExposeSecret;
use url::Url;

use super::callback::Callback;
use super::discovery::Server;
use super::error::quoted;
use super::grant::{Client, Grant, Kept, union};
use super::{OAuthError, OAuthSettings};

/// How the gateway introduces itself where it registers.
const CLIENT_NAME: &str = "Switchyard";

/// An authorization that waits for its person.
pub struct Pending {
    server: Server,
    client: Client,
    /// Whether the client is one that the gateway made, now or before.
    is_registered: bool,
    scopes: Vec<String>,
    url: String,
    state: String,
}

impl Pending {
    /// Makes everything ready at `server`, registering if need be; the browser comes back to `redirect_uri`.
    pub(super) async fn begin(
        mut server: Server,
        settings: &OAuthSettings,
        kept: &Kept,
        redirect_uri: &str,
    ) -> Result<Self, OAuthError> {
        let scopes = scopes(&server, settings, kept).await;
        let client = client(&mut server, settings, kept, redirect_uri, &scopes).await?;
        let config = client.config(scopes.clone());
        server.manager.configure_client(config).map_err(|error| OAuthError::unusable(&error))?;
        let asked: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let url = server.manager.get_authorization_url(&asked).await;
        let url = url.map_err(|error| OAuthError::unusable(&error))?;
        let state = parameter(&url, "state").unwrap_or_default();
        let is_known = [&settings.client_id, &settings.client_metadata_url];
        let is_registered = !is_known.into_iter().flatten().any(|id| *id == client.id);
        Ok(Self { server, client, is_registered, scopes, url, state })
    }

    /// The page to open.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authorization server.
    pub fn issuer(&self) -> &str {
        &self.server.issuer
    }

    /// Whether a callback belongs to this authorization; any other is to be ignored.
    pub fn owns(&self, callback: &Callback) -> bool {
        callback.state == self.state
    }

    pub(super) fn is_registered(&self) -> bool {
        self.is_registered
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Trades the code for a grant.
    pub(super) async fn finish(self, callback: Callback) -> Result<Grant, OAuthError> {
        let Self { server, client, scopes, .. } = self;
        let code = match callback.outcome {
            Ok(code) => code,
            // An error of a server that is not the one that was asked is not even shown.
            Err(_) if callback.issuer.is_some_and(|issuer| issuer != server.issuer) => {
                return Err(OAuthError::Unusable("another server answered in its place".to_owned()));
            }
            Err(error) => return Err(OAuthError::Refused(quoted(&error))),
        };
        let issuer = callback.issuer.as_deref();
        let exchanged = server.manager.exchange_code_for_token_with_issuer(&code, &callback.state, issuer);
        let response = exchanged.await.map_err(|error| OAuthError::refused(&error))?;
        Grant::read(&response, &server.issuer, client, scopes)
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("issuer", &self.server.issuer).finish_non_exhaustive()
    }
}

/// What to ask for: what is configured, or what the backend says it needs; and what it asked for since, on
/// top of what was granted (scope step-up).
async fn scopes(server: &Server, settings: &OAuthSettings, kept: &Kept) -> Vec<String> {
    let mut scopes = match settings.scopes.is_empty() {
        true => server.manager.select_initial_scopes(&[]).await,
        false => settings.scopes.clone(),
    };
    if !kept.wanted.is_empty() {
        let granted = kept.grant.as_ref().filter(|grant| grant.issuer == server.issuer);
        let granted = granted.map(|grant| grant.scopes.as_slice()).unwrap_or_default();
        scopes = union(&union(granted, &settings.scopes), &kept.wanted);
    }
    let offline = "offline_access".to_owned();
    if !scopes.is_empty() && !scopes.contains(&offline) && server.knows_scope(&offline) {
        scopes.push(offline);
    }
    scopes
}

/// Who the gateway is there, in the specification's order: registered beforehand, a metadata document,
/// registered by itself.
async fn client(
    server: &mut Server,
    settings: &OAuthSettings,
    kept: &Kept,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<Client, OAuthError> {
    let redirect_uri = redirect_uri.to_owned();
    if let Some(id) = settings.client_id.clone() {
        let secret = settings.client_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        return Ok(Client { id, secret, redirect_uri });
    }
    if let Some(id) = settings.client_metadata_url.clone()
        && server.supports_metadata_documents()
    {
        return Ok(Client { id, secret: None, redirect_uri });
    }
    if let Some(client) = kept.registered.get(&server.issuer)
        && client.redirect_uri == redirect_uri
    {
        return Ok(client.clone());
    }
    if settings.no_registration || server.metadata.registration_endpoint.is_none() {
        return Err(OAuthError::Unusable(
            "it does not know the gateway and does not let it register: set `auth.client_id`".to_owned(),
        ));
    }
    let asked: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let registered = server.manager.register_client(CLIENT_NAME, &redirect_uri, &asked).await;
    let OAuthClientConfig { client_id, client_secret, .. } =
        registered.map_err(|error| OAuthError::refused(&error))?;
    Ok(Client { id: client_id, secret: client_secret, redirect_uri })
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}
