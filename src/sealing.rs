//! How is something sealed that leaves the process and comes back? AES-256-GCM, with keys that can be rotated.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};

/// Seals with the first key and opens with any.
#[derive(Default)]
pub struct SealingKeys(Vec<RandomizedNonceKey>);

impl SealingKeys {
    /// The keys that these secrets, of any length, stand for.
    pub fn new(secrets: &[SecretString]) -> Self {
        let keys = secrets.iter().filter_map(|secret| {
            let bytes = digest(&SHA256, secret.expose_secret().as_bytes());
            RandomizedNonceKey::new(&AES_256_GCM, bytes.as_ref()).ok()
        });
        Self(keys.collect())
    }

    /// One random key.
    ///
    /// # Errors
    /// When the system has no entropy to give.
    pub fn random() -> std::io::Result<Self> {
        let no_entropy = || std::io::Error::other("no entropy for a key");
        let mut bytes = [0u8; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| no_entropy())?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| no_entropy())?;
        Ok(Self(vec![key]))
    }

    /// Whether there is no key to seal with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys open.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Seals `text` for `purpose`; `None` without a key, or if the library refuses.
    pub fn seal(&self, purpose: &[u8], mut text: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = self.0.first()?.seal_in_place_append_tag(Aad::from(purpose), &mut text).ok()?;
        text.splice(0..0, nonce.as_ref().iter().copied());
        Some(text)
    }

    /// Opens what one of the keys sealed for the same `purpose`, unaltered.
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        self.0.iter().find_map(|key| {
            let mut body = body.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let length = key.open_in_place(nonce, Aad::from(purpose), &mut body).ok()?.len();
            body.truncate(length);
            Some(body)
        })
    }
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKeys({})", self.count())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_text_opens_for_its_own_purpose_only() {
        let keys = SealingKeys::new(&["a secret".into()]);
        let sealed = keys.seal(b"one", b"text".to_vec()).unwrap();
        assert_eq!(keys.open(b"one", &sealed).unwrap(), b"text");
        assert!(keys.open(b"two", &sealed).is_none());
        assert!(keys.open(b"one", b"short").is_none());
        assert!(SealingKeys::default().seal(b"one", Vec::new()).is_none());
    }
}
