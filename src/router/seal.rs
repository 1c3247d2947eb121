//! What the gateway gives to clients to keep and believes when it comes back: encrypted,
//! authenticated, bound to a principal, a request and a time.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sealing::SealingKeys;
use crate::units::seconds_since_1970 as now;

/// Bound into every sealed text: one made for another purpose does not open.
const PURPOSE: &[u8] = b"switchyard request state 1";

/// Longest sealed text that is looked at, in bytes: above what a body may hold unless an operator allows more, because
/// what a backend gives its clients to keep may be long.
const MAX_SEALED: usize = 8 * 1024 * 1024;

/// Seals with the first key and opens with any, so that keys can be rotated and shared by replicas.
#[derive(Debug)]
pub struct Sealer {
    keys: SealingKeys,
}

/// What is sealed, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed<T> {
    pub principal: String,
    /// Digest of the request it belongs to.
    pub request: String,
    /// Seconds since 1970.
    pub expires: u64,
    pub content: T,
}

impl Sealer {
    /// A sealer with these keys, or with a random one that lives as long as the process.
    ///
    /// # Errors
    /// When the system has no entropy to give.
    pub fn new(secrets: &[SecretString]) -> std::io::Result<Self> {
        let keys = SealingKeys::new(secrets);
        Ok(Self { keys: if keys.is_empty() { SealingKeys::random()? } else { keys } })
    }

    /// Seals; `None` only if the library refuses, which leaves nothing to give.
    pub(super) fn seal<T: Serialize>(&self, sealed: &Sealed<T>) -> Option<String> {
        self.seal_text(PURPOSE, serde_json::to_vec(sealed).ok()?)
    }

    /// Seals any text, to be opened for the same purpose only. Never twice the same; in visible ASCII.
    pub fn seal_text(&self, purpose: &[u8], text: Vec<u8>) -> Option<String> {
        let text = self.keys.seal(purpose, text)?;
        Some(URL_SAFE_NO_PAD.encode(text))
    }

    /// Opens what one of the keys sealed for this purpose.
    pub fn open_text(&self, purpose: &[u8], sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        self.keys.open(purpose, &bytes)
    }

    /// Opens what one of the keys sealed, if it is still valid.
    pub(super) fn open<T: DeserializeOwned>(&self, text: &str) -> Option<Sealed<T>> {
        let opened = self.open_text(PURPOSE, text)?;
        let sealed: Sealed<T> = serde_json::from_slice(&opened).ok()?;
        (sealed.expires > now()).then_some(sealed)
    }
}

/// Seconds since 1970, `after` from now.
pub(super) fn expiry(after: Duration) -> u64 {
    now().saturating_add(after.as_secs())
}

/// A digest of values that does not depend on the order of members or on white space: a client may
/// spell the same request anew when it retries.
pub(super) fn digest_of(method: &str, name: &str, arguments: Option<Value>) -> String {
    let text = format!("{method}\n{name}\n{}", canonical(&arguments.unwrap_or_default()));
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let members = members
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sealed(after: i64) -> Sealed<String> {
        let expires = now().saturating_add_signed(after);
        Sealed { principal: "alice".into(), request: "d".into(), expires, content: "state".into() }
    }

    fn secrets(names: &[&str]) -> Vec<SecretString> {
        names.iter().map(|name| SecretString::from(*name)).collect()
    }

    #[test]
    fn what_was_sealed_opens_unless_it_is_late_or_altered() {
        let sealer = Sealer::new(&[]).unwrap();
        let text = sealer.seal(&sealed(60)).unwrap();
        assert_eq!(sealer.open::<String>(&text).unwrap().content, "state");
        assert!(!text.contains("state"));
        assert!(sealer.open::<String>(&sealer.seal(&sealed(-1)).unwrap()).is_none());
        for at in [0, 20, text.len() - 2] {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open::<String>(&String::from_utf8(altered).unwrap()).is_none());
        }
        assert!(sealer.open::<String>("").is_none() && sealer.open::<String>("é").is_none());
    }

    #[test]
    fn what_a_backend_wants_kept_opens_however_long_it_is() {
        let sealer = Sealer::new(&[]).unwrap();
        let long = Sealed { content: "\"".repeat(1024 * 1024), ..sealed(60) };
        let text = sealer.seal(&long).unwrap();
        assert_eq!(sealer.open::<String>(&text).unwrap().content, long.content);
    }

    #[test]
    fn replicas_open_each_others_and_an_old_key_still_opens() {
        let old = Sealer::new(&secrets(&["one"])).unwrap();
        let new = Sealer::new(&secrets(&["two", "one"])).unwrap();
        assert!(new.open::<String>(&old.seal(&sealed(60)).unwrap()).is_some());
        assert!(old.open::<String>(&new.seal(&sealed(60)).unwrap()).is_none());
    }

    #[test]
    fn a_digest_knows_the_request_however_it_is_spelt() {
        let digest = |arguments: Value| digest_of("tools/call", "t", Some(arguments));
        assert_eq!(
            digest(json!({"a": 1, "b": [{"c": 2, "d": 3}]})),
            digest(json!({"b": [{"d": 3, "c": 2}], "a": 1}))
        );
        assert_ne!(digest(json!({"a": 1})), digest(json!({"a": 2})));
    }
}
