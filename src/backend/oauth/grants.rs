//! Whose grant goes with a request: the gateway's own, or that of whoever calls?
//!
//! Where principals have grants of their own, the gateway's reads what the backend offers and watches its resources.
//! No call is ever made with it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use super::super::{BackendSettings, Failure};
use super::vault::Vault;
use super::{Authorizer, GrantedTo};

/// All grants at one backend.
pub(in super::super) struct Grants {
    own: Arc<Authorizer>,
    vault: Arc<Vault>,
    /// Those of the principals that called so far; there are as many principals as the operator named.
    personal: Mutex<HashMap<Arc<str>, Arc<Authorizer>>>,
}

impl Grants {
    /// For all places of a backend, if it can want authorization. Reads what is kept; blocks for as long as that
    /// takes.
    pub(in super::super) fn of(backend: &BackendSettings, vault: &Arc<Vault>) -> Option<Arc<Self>> {
        let own = Authorizer::of(backend, vault)?;
        Some(Arc::new(Self { own, vault: Arc::clone(vault), personal: Mutex::default() }))
    }

    /// The gateway's own.
    pub(in super::super) fn own(&self) -> &Arc<Authorizer> {
        &self.own
    }

    /// The grant of a principal.
    pub(in super::super) async fn of_principal(&self, principal: &Arc<str>) -> Arc<Authorizer> {
        if let Some(known) = self.personal.lock().get(principal) {
            return Arc::clone(known);
        }
        let (own, vault, name) = (Arc::clone(&self.own), Arc::clone(&self.vault), Arc::clone(principal));
        let read = spawn_blocking(move || Arc::new(own.of_principal(&vault, &name))).await;
        // Of two that read it at once the first counts: they must share one renewal.
        let fresh = read.unwrap_or_else(|_| Arc::new(self.own.of_principal(&self.vault, principal)));
        Arc::clone(self.personal.lock().entry(Arc::clone(principal)).or_insert(fresh))
    }

    /// The grant that a call of `principal` goes with.
    ///
    /// # Errors
    /// There is none; nothing is sent then.
    pub(in super::super) async fn for_call(&self, principal: &Arc<str>) -> Result<Arc<Authorizer>, Failure> {
        let personal = self.of_principal(principal).await;
        personal.lacking().await.map_or(Ok(personal), Err)
    }
}

impl BackendSettings {
    /// Whether each principal has a grant of its own.
    pub(in super::super) fn has_personal_grants(&self) -> bool {
        let auth = self.transport.remote().and_then(|remote| remote.auth.as_ref());
        auth.is_some_and(|auth| auth.granted_to == GrantedTo::Principal)
    }
}

/// What `switchyard connect` is to be given for a backend, and a principal if it is for one; as a shell reads it.
pub(super) fn arguments(backend: &str, principal: Option<&str>) -> String {
    let Some(principal) = principal else { return backend.to_owned() };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
    match !principal.is_empty() && principal.bytes().all(is_word) {
        true => format!("{backend} --principal={principal}"),
        false => format!("{backend} --principal='{}'", principal.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_helps_can_be_pasted() {
        assert_eq!(arguments("crm", None), "crm");
        assert_eq!(arguments("crm", Some("ann@example.com")), "crm --principal=ann@example.com");
        assert_eq!(arguments("crm", Some("ann; o'b")), r"crm --principal='ann; o'\''b'");
    }
}
