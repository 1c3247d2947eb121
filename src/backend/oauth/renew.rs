//! How is a token got without a person: by a refresh token (RFC 6749, section 6) or by the gateway's own
//! credentials (section 4.4; RFC 7523 for a key instead of a secret)?

use rmcp::transport::auth::{
    AuthError, ClientCredentialsConfig, CredentialStore as _, InMemoryCredentialStore, JwtSigningAlgorithm,
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use url::Url;

use super::discovery::Server;
use super::grant::{Client, Grant};
use super::settings::SigningAlgorithm;
use super::{OAuthError, OAuthSettings};

/// What became of a refresh.
pub(super) enum Refreshed {
    Anew(Box<Grant>),
    /// The refresh token is worth nothing any more.
    Rejected,
}

impl Server {
    /// Trades the refresh token for a new grant. The caller made sure that this server issued it.
    pub(super) async fn refresh(&mut self, grant: &Grant) -> Result<Refreshed, OAuthError> {
        let Some(stored) = grant.stored() else { return Ok(Refreshed::Rejected) };
        let store = InMemoryCredentialStore::new();
        store.save(stored).await.map_err(|error| OAuthError::refused(&error))?;
        self.manager.set_credential_store(store);
        let config = grant.client.config(grant.scopes.clone());
        self.manager.configure_client(config).map_err(|error| OAuthError::unusable(&error))?;
        match self.manager.refresh_token().await {
            Ok(response) => {
                let (client, scopes) = (grant.client.clone(), grant.scopes.clone());
                let mut renewed = Grant::read(&response, &self.issuer, client, scopes)?;
                // A refresh never changes what was granted, even if this token can do less.
                renewed.scopes.clone_from(&grant.scopes);
                Ok(Refreshed::Anew(Box::new(renewed)))
            }
            Err(AuthError::TokenRefreshRejected(_) | AuthError::AuthorizationRequired) => {
                Ok(Refreshed::Rejected)
            }
            Err(error) => Err(OAuthError::refused(&error)),
        }
    }

    /// Asks for a token for the gateway itself. `scopes` of none are those that the backend asks for.
    pub(super) async fn client_credentials(
        mut self,
        settings: &OAuthSettings,
        mut scopes: Vec<String>,
    ) -> Result<Grant, OAuthError> {
        if scopes.is_empty() {
            scopes = self.manager.select_initial_scopes(&[]).await;
            // There is no user whose absence would need it.
            scopes.retain(|scope| scope != "offline_access");
        }
        let id = settings.client_id.clone().unwrap_or_default();
        let mut credentials = credentials(settings, id.clone(), scopes.clone(), self.url.to_string())?;
        self.manager
            .validate_client_credentials_metadata(&credentials)
            .and_then(|()| self.manager.configure_client_credentials(&credentials))
            .map_err(|error| OAuthError::unusable(&error))?;
        if let Some(published) = self.published_resource().await {
            set_resource(&mut credentials, published);
        }
        // rmcp's future cannot move between threads.
        let (runtime, manager) = (Handle::current(), self.manager);
        let asking = spawn_blocking(move || {
            runtime.block_on(async move { manager.exchange_client_credentials(&credentials).await })
        });
        let response = asking.await.map_err(std::io::Error::other)?;
        let response = response.map_err(|error| OAuthError::refused(&error))?;
        let client = Client { id, secret: None, redirect_uri: String::new() };
        Grant::read(&response, &self.issuer, client, scopes)
    }

    /// The resource identifier as the backend published it, which may be shorter than its URL: rmcp shows
    /// it in an authorization URL only.
    async fn published_resource(&self) -> Option<String> {
        let url = self.manager.get_authorization_url(&[]).await.ok()?;
        let url = Url::parse(&url).ok()?;
        url.query_pairs().find_map(|(key, value)| (key == "resource").then(|| value.into_owned()))
    }
}

fn credentials(
    settings: &OAuthSettings,
    client_id: String,
    scopes: Vec<String>,
    url: String,
) -> Result<ClientCredentialsConfig, OAuthError> {
    let resource = Some(url);
    match (&settings.client_secret, &settings.private_key) {
        (Some(secret), _) => Ok(ClientCredentialsConfig::ClientSecret {
            client_id,
            client_secret: secret.expose_secret().to_owned(),
            scopes,
            resource,
        }),
        (None, Some(key)) => Ok(ClientCredentialsConfig::PrivateKeyJwt {
            client_id,
            signing_key: key.expose_secret().as_bytes().to_vec(),
            signing_algorithm: settings.algorithm.into(),
            token_endpoint_audience: None,
            scopes,
            resource,
        }),
        (None, None) => {
            Err(OAuthError::Unusable("there is neither `client_secret` nor `private_key`".to_owned()))
        }
    }
}

fn set_resource(credentials: &mut ClientCredentialsConfig, published: String) {
    match credentials {
        ClientCredentialsConfig::ClientSecret { resource, .. }
        | ClientCredentialsConfig::PrivateKeyJwt { resource, .. } => *resource = Some(published),
        _ => {}
    }
}

impl From<SigningAlgorithm> for JwtSigningAlgorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::ES256 => Self::ES256,
            SigningAlgorithm::ES384 => Self::ES384,
            SigningAlgorithm::RS256 => Self::RS256,
            SigningAlgorithm::RS384 => Self::RS384,
            SigningAlgorithm::RS512 => Self::RS512,
        }
    }
}
