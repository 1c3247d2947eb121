//! Who is calling?

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::ClientSettings;
use super::error::Error;
use crate::router::Principal;
use crate::telemetry::process;

/// Makes a bearer token of 256 random bits and the SHA-256 that `clients:` holds of it.
///
/// # Errors
/// When the system has no entropy to give.
pub fn new_token() -> std::io::Result<(String, String)> {
    let mut secret = [0; 32];
    rand::fill(&mut secret).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let token = format!("sy_{}", URL_SAFE_NO_PAD.encode(secret));
    let sha256 = hex(&hash(&token));
    Ok((token, sha256))
}

/// Knows the hashes of all tokens, never a token.
pub(super) struct Authenticator {
    clients: Vec<(Principal, [u8; 32])>,
}

impl Authenticator {
    /// A hash that is not 64 hex digits matches no token; the configuration is checked before.
    pub(super) fn new(clients: &BTreeMap<String, ClientSettings>) -> Self {
        let known = |(name, client): (&String, &ClientSettings)| {
            Some((Principal::named(name), unhex(&client.token_sha256)?))
        };
        Self { clients: clients.iter().filter_map(known).collect() }
    }

    /// Whether everybody is served the same.
    pub(super) fn is_open(&self) -> bool {
        self.clients.is_empty()
    }

    /// Whether a session of `principal` may go on.
    pub(super) fn knows(&self, principal: &Principal) -> bool {
        match self.is_open() {
            true => *principal == Principal::anonymous(),
            false => self.clients.iter().any(|(known, _)| known == principal),
        }
    }

    /// Checks the bearer token of a request. Every known hash is compared, in constant time, so that
    /// the time taken tells nothing about which one came close.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        if self.is_open() {
            return Ok(Principal::anonymous());
        }
        let Some(token) = bearer(headers) else {
            return Err(Error::Unauthorized { token_given: headers.contains_key(AUTHORIZATION) });
        };
        let given = hash(token);
        let mut found = None;
        for (principal, known) in &self.clients {
            if verify_slices_are_equal(&given, known).is_ok() {
                found = Some(principal);
            }
        }
        found.cloned().ok_or(Error::Unauthorized { token_given: true })
    }
}

/// Counts a request that was not let in, by what is wrong with its token.
pub(super) fn count_failure(headers: &HeaderMap) {
    process::auth_failure(match (headers.contains_key(AUTHORIZATION), bearer(headers)) {
        (false, _) => "missing",
        (true, None) => "malformed",
        (true, Some(_)) => "unknown",
    });
}

/// The token of the only `Authorization` header, if its scheme is `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn hash(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(position * 2..position * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn authenticator(clients: &[(&str, &str)]) -> Authenticator {
        let entry = |(name, hash): &(&str, &str)| {
            (name.to_string(), ClientSettings { token_sha256: hash.to_string() })
        };
        Authenticator::new(&clients.iter().map(entry).collect())
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_names_its_own_client_and_nobody_else() {
        let (ann, ann_hash) = new_token().unwrap();
        let (bob, bob_hash) = new_token().unwrap();
        let known = authenticator(&[("ann", &ann_hash), ("bob", &bob_hash)]);
        let who = |value: String| known.authenticate(&headers(&[&value])).map(|p| p.name().to_owned());
        assert_eq!(who(format!("Bearer {ann}")).unwrap(), "ann");
        assert_eq!(who(format!("bearer {bob}")).unwrap(), "bob");
        assert!(who(format!("Bearer {ann}x")).is_err());
        assert!(who(format!("Basic {ann}")).is_err());
        assert!(who(ann_hash).is_err());
    }

    #[test]
    fn two_authorization_headers_are_no_authorization() {
        let (ann, hash) = new_token().unwrap();
        let value = format!("Bearer {ann}");
        assert!(authenticator(&[("ann", &hash)]).authenticate(&headers(&[&value, &value])).is_err());
    }

    #[test]
    fn without_clients_everybody_is_anonymous() {
        assert_eq!(authenticator(&[]).authenticate(&HeaderMap::new()).unwrap(), Principal::anonymous());
    }

    #[test]
    fn the_challenge_says_whether_a_token_was_given() {
        let known = authenticator(&[("ann", &"0".repeat(64))]);
        let given = |headers| match known.authenticate(&headers) {
            Err(Error::Unauthorized { token_given }) => token_given,
            _ => unreachable!(),
        };
        assert!(!given(HeaderMap::new()));
        assert!(given(headers(&["Bearer x"])));
    }
}
