//! What an operator can set about the authorization at one backend.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

/// Authorization at a backend's authorization server. Needed only where the defaults do not fit: a backend
/// that answers HTTP 401 asks for `switchyard connect` without any of this.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OAuthSettings {
    /// `authorization_code`: a person lets the gateway in, once, with `switchyard connect`.
    /// `client_credentials`: the gateway is let in as itself.
    pub grant: GrantType,
    /// Whom a person lets in. `gateway`: all its clients, with one grant. `principal`: each entry of `clients:` with a
    /// grant of its own, by `switchyard connect BACKEND --principal NAME`; the gateway's own then only reads what the
    /// backend offers.
    pub granted_to: GrantedTo,
    /// The gateway's name at the authorization server, where it was registered beforehand.
    pub client_id: Option<String>,
    /// Its secret there; write a reference, such as `${CRM_CLIENT_SECRET}`.
    #[serde(deserialize_with = "secret", skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// A private key (PEM) to sign with instead of a secret; write `${file:/path}`. Only with `client_credentials`.
    #[serde(deserialize_with = "secret", skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub private_key: Option<SecretString>,
    /// How `private_key` signs.
    pub algorithm: SigningAlgorithm,
    /// The `https` URL of a client ID metadata document, used as `client_id` where the server understands it.
    pub client_metadata_url: Option<String>,
    /// What to ask for; what the backend says it needs unless set.
    pub scopes: Vec<String>,
    /// The port of 127.0.0.1 that the browser comes back to, for servers that want to know it; any free one unless set.
    #[schemars(range(min = 1))]
    pub callback_port: Option<u16>,
    /// Do not register at the authorization server by itself.
    pub no_registration: bool,
    /// The authorization server may have a private address though the backend has none.
    pub private_addresses: bool,
}

/// Who lets the gateway in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum GrantType {
    /// A person, in a browser.
    #[default]
    AuthorizationCode,
    /// Nobody: the gateway has credentials of its own.
    ClientCredentials,
}

/// Whom a grant is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum GrantedTo {
    /// The gateway, whoever calls.
    #[default]
    Gateway,
    /// Each principal has its own.
    Principal,
}

/// How assertions are signed (RFC 7518, section 3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(missing_docs, reason = "the names are those of the standard")]
pub enum SigningAlgorithm {
    #[default]
    ES256,
    ES384,
    RS256,
    RS384,
    RS512,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
