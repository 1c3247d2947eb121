//! What was granted, by whom, to which client, and for how long.

use std::collections::BTreeMap;

use http::HeaderValue;
use rmcp::transport::auth::{OAuthClientConfig, OAuthTokenResponse, StoredCredentials};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) use crate::units::seconds_since_1970 as now;

use super::OAuthError;

/// A token is renewed so long before it ends, or at half of its life if that is later. In seconds.
const MARGIN: u64 = 30;

/// Everything that is kept about one backend and one principal.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub grant: Option<Grant>,
    /// The clients that the gateway registered, by issuer: one is never used at another's.
    pub registered: BTreeMap<String, Client>,
    /// Scopes that the backend asked for and the grant does not have.
    pub wanted: Vec<String>,
}

impl Kept {
    /// The value of `Authorization`, if there is a grant.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.grant.as_ref().and_then(Grant::header)
    }
}

/// The gateway, as one authorization server knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    pub id: String,
    pub secret: Option<String>,
    pub redirect_uri: String,
}

/// An access token and what is needed to renew it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Grant {
    pub issuer: String,
    pub client: Client,
    pub access_token: String,
    pub refresh_token: Option<String>,
    /// Seconds since 1970.
    pub received_at: u64,
    /// In seconds.
    pub expires_in: Option<u64>,
    pub scopes: Vec<String>,
}

/// The members of a token response that matter here.
#[derive(Deserialize)]
struct Response {
    access_token: String,
    token_type: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
    scope: Option<String>,
}

impl Grant {
    /// Reads what a token endpoint answered; `scopes` were asked for, and are granted if it names none
    /// (RFC 6749, section 5.1).
    pub(super) fn read(
        response: &OAuthTokenResponse,
        issuer: &str,
        client: Client,
        scopes: Vec<String>,
    ) -> Result<Self, OAuthError> {
        let members = serde_json::to_value(response).and_then(serde_json::from_value::<Response>);
        let members = members.map_err(|_| OAuthError::Refused("its answer holds no token".to_owned()))?;
        if !members.token_type.eq_ignore_ascii_case("bearer") {
            return Err(OAuthError::Unusable("its tokens are no bearer tokens".to_owned()));
        }
        let grant = Self {
            issuer: issuer.to_owned(),
            client,
            access_token: members.access_token,
            refresh_token: members.refresh_token,
            received_at: now(),
            expires_in: members.expires_in,
            scopes: members.scope.map_or(scopes, |scope| words(&scope)),
        };
        if grant.header().is_none() {
            return Err(OAuthError::Unusable("its token cannot be sent in a header".to_owned()));
        }
        Ok(grant)
    }

    /// The value of `Authorization`.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.access_token)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether it ends soon, or has ended.
    pub(super) fn is_ending(&self, now: u64) -> bool {
        self.expires_in.is_some_and(|lifetime| {
            now.saturating_add(MARGIN.min(lifetime / 2)) >= self.received_at.saturating_add(lifetime)
        })
    }

    /// As rmcp wants it, to refresh it.
    pub(super) fn stored(&self) -> Option<StoredCredentials> {
        let response = json!({
            "access_token": self.access_token,
            "token_type": "bearer",
            "refresh_token": self.refresh_token,
        });
        let response = serde_json::from_value(response).ok()?;
        let (id, scopes) = (self.client.id.clone(), self.scopes.clone());
        Some(StoredCredentials::new(id, Some(response), scopes, Some(self.received_at)))
    }
}

impl Client {
    pub(super) fn config(&self, scopes: Vec<String>) -> OAuthClientConfig {
        let config = OAuthClientConfig::new(&self.id, &self.redirect_uri).with_scopes(scopes);
        match &self.secret {
            Some(secret) => config.with_client_secret(secret),
            None => config,
        }
    }
}

/// Both lists, nothing twice, the first first.
pub(super) fn union(one: &[String], other: &[String]) -> Vec<String> {
    let mut scopes = Vec::new();
    for scope in one.iter().chain(other) {
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    scopes
}

/// The words of a `scope` parameter.
pub(super) fn words(scope: &str) -> Vec<String> {
    scope.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn grant(response: serde_json::Value) -> Result<Grant, OAuthError> {
        let client = Client { id: "me".into(), secret: None, redirect_uri: "http://127.0.0.1/".into() };
        let response = serde_json::from_value(response).unwrap();
        Grant::read(&response, "https://as.example.com", client, vec!["asked".into()])
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_but_not_all_the_time() {
        let mut grant = grant(json!({"access_token": "t", "token_type": "Bearer"})).unwrap();
        grant.received_at = 1000;
        assert!(!grant.is_ending(u64::MAX), "one that never ends");
        grant.expires_in = Some(3600);
        assert!(!grant.is_ending(1000 + 3569) && grant.is_ending(1000 + 3570));
        grant.expires_in = Some(10);
        assert!(!grant.is_ending(1004) && grant.is_ending(1005));
        grant.expires_in = Some(0);
        assert!(grant.is_ending(1000));
    }

    #[test]
    fn what_is_not_said_about_scopes_was_granted_as_asked() {
        let asked = grant(json!({"access_token": "t", "token_type": "Bearer"})).unwrap();
        assert_eq!(asked.scopes, ["asked"]);
        let less = grant(json!({"access_token": "t", "token_type": "bearer", "scope": "a b"})).unwrap();
        assert_eq!(less.scopes, ["a", "b"]);
    }

    #[test]
    fn only_bearer_tokens_that_fit_a_header_are_taken() {
        assert!(grant(json!({"access_token": "t", "token_type": "DPoP"})).is_err());
        assert!(grant(json!({"access_token": "a\r\nX-Evil: 1", "token_type": "Bearer"})).is_err());
    }
}
