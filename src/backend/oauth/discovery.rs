//! Which authorization server is it, and may it be used?

use std::time::Duration;

use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataSource,
};
use tokio::time::timeout;
use url::{Host, Url};

use super::{OAuthError, OAuthSettings};

/// For all documents together.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authorization server that a backend named and that described itself.
pub(super) struct Server {
    pub manager: AuthorizationManager,
    pub metadata: AuthorizationMetadata,
    pub issuer: String,
    /// The backend.
    pub url: Url,
}

impl Server {
    /// Asks the backend for its authorization server and that server for its metadata. `challenge` is the
    /// header of the backend's refusal.
    ///
    /// # Errors
    /// [`OAuthError::Unusable`] when they cannot be reached or say something that must not be believed.
    pub(super) async fn discover(
        url: &Url,
        settings: &OAuthSettings,
        challenge: Option<&str>,
    ) -> Result<Self, OAuthError> {
        let discovering = async {
            let mut manager = match settings.private_addresses {
                true => AuthorizationManager::new_allowing_private_addresses(url.clone()).await?,
                false => AuthorizationManager::new(url.clone()).await?,
            };
            let resolution = manager.resolve_metadata_from_challenge(challenge).await?;
            manager.set_metadata(resolution.metadata.clone());
            Ok((manager, resolution))
        };
        let found = timeout(PATIENCE, discovering).await;
        let late =
            || OAuthError::Unusable(format!("it was not found in {}", humantime::format_duration(PATIENCE)));
        let (manager, resolution) =
            found.map_err(|_| late())?.map_err(|error: AuthError| OAuthError::unusable(&error))?;
        let metadata = resolution.metadata;
        check(&metadata, resolution.source)?;
        let issuer = metadata.issuer.clone().unwrap_or_else(|| url.origin().ascii_serialization());
        Ok(Self { manager, metadata, issuer, url: url.clone() })
    }

    /// A list among the members that rmcp does not name.
    pub(super) fn supports_metadata_documents(&self) -> bool {
        let member = self.metadata.additional_fields.get("client_id_metadata_document_supported");
        member.and_then(serde_json::Value::as_bool).unwrap_or(false)
    }

    /// Whether the server says that it knows this scope.
    pub(super) fn knows_scope(&self, scope: &str) -> bool {
        let known = self.metadata.scopes_supported.as_deref().unwrap_or_default();
        known.iter().any(|known| known == scope)
    }
}

/// Whether tokens may be asked for with this metadata (MCP 2026-07-28, basic/authorization, security
/// considerations: PKCE, communication security).
fn check(metadata: &AuthorizationMetadata, source: AuthorizationMetadataSource) -> Result<(), OAuthError> {
    let endpoints = [Some(&metadata.authorization_endpoint), Some(&metadata.token_endpoint)];
    for endpoint in endpoints.into_iter().chain([metadata.registration_endpoint.as_ref()]).flatten() {
        if !is_private(endpoint) {
            return Err(OAuthError::Unusable("one of its endpoints is not reached over HTTPS".to_owned()));
        }
    }
    let says_nothing = metadata.code_challenge_methods_supported.is_none();
    if says_nothing && source.is_discovered() {
        return Err(OAuthError::Unusable("it does not say that it supports PKCE".to_owned()));
    }
    Ok(())
}

/// Whether nobody on the way can read what is sent there.
fn is_private(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(authorize: &str, token: &str, pkce: bool) -> bool {
        let mut document = json!({"authorization_endpoint": authorize, "token_endpoint": token});
        if pkce {
            document["code_challenge_methods_supported"] = json!(["S256"]);
        }
        let metadata = serde_json::from_value(document).unwrap();
        check(&metadata, AuthorizationMetadataSource::ProtectedResourceMetadata).is_ok()
    }

    #[test]
    fn endpoints_that_anybody_could_read_or_that_are_no_web_pages_are_refused() {
        let good = "https://as.example.com/authorize";
        assert!(checked(good, "https://as.example.com/token", true));
        assert!(checked("http://localhost:1/a", "http://127.0.0.1:1/t", true));
        assert!(!checked(good, "http://as.example.com/token", true));
        assert!(!checked("http://as.example.com/authorize", "https://as.example.com/token", true));
        assert!(!checked("javascript:alert(1)", "https://as.example.com/token", true));
        assert!(!checked("file:///etc/passwd", "https://as.example.com/token", true));
    }

    #[test]
    fn a_server_that_does_not_announce_pkce_is_refused() {
        assert!(!checked("https://as.example.com/a", "https://as.example.com/t", false));
    }
}
