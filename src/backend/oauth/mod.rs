//! How does the gateway get leave from a backend's authorization server?
//!
//! | file | the question it answers |
//! |---|---|
//! | `grants.rs` | whose grant goes with a request? |
//! | `authorizer.rs` | which token goes with a request, and what follows from a refusal? |
//! | `turn.rs` | who renews, and with what? |
//! | `connect.rs` | how does a person let the gateway in (authorization code, PKCE)? |
//! | `callback.rs` | what did the authorization server say on the way back? |
//! | `renew.rs` | how is a token got without a person: refresh, client credentials? |
//! | `discovery.rs` | which authorization server is it, and may it be used? |
//! | `challenge.rs` | what does a refusal ask for? |
//! | `holding.rs` | what is known of a grant now, here and in other processes? |
//! | `grant.rs` | what was granted, and for how long? |
//! | `vault.rs` | where does that stay, so that nobody can read it? |
//! | `settings.rs` | what can an operator set? |
//!
//! The protocol itself is rmcp's: discovery (RFC 9728, RFC 8414), registration, PKCE, issuer checks
//! (RFC 9207), resource indicators (RFC 8707). Here is what a gateway needs around it.

mod authorizer;
mod callback;
mod challenge;
mod connect;
mod discovery;
mod error;
mod grant;
mod grants;
mod holding;
mod renew;
mod settings;
mod turn;
mod vault;

pub(super) use authorizer::{Head, send};
pub(super) use grants::Grants;

pub use authorizer::Authorizer;
pub use callback::Callback;
pub use connect::Pending;
pub use error::OAuthError;
pub use settings::{GrantType, GrantedTo, OAuthSettings, SigningAlgorithm};
pub use vault::Vault;
