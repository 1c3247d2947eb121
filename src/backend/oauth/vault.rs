//! Where grants stay, so that nobody can read them: one sealed file for each backend and principal.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::files;
use crate::sealing::SealingKeys;

use super::OAuthError;
use super::grant::Kept;

/// Longest wait for another process that renews the same grant, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(20);
/// Largest file that is read, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// The grants of all backends. Nothing is read or written before a grant is.
#[derive(Debug)]
pub struct Vault {
    directory: PathBuf,
    configured: ArcSwap<SealingKeys>,
}

impl Vault {
    /// A vault in this directory, sealed with these secrets; without any, with a key that it makes and
    /// keeps beside the grants.
    pub fn new(state_dir: &Path, secrets: &[SecretString]) -> Arc<Self> {
        let configured = ArcSwap::from_pointee(SealingKeys::new(secrets));
        Arc::new(Self { directory: state_dir.join("oauth"), configured })
    }

    /// Seals and opens with these secrets from now on.
    pub fn rotate(&self, secrets: &[SecretString]) {
        self.configured.store(Arc::new(SealingKeys::new(secrets)));
    }

    /// Where the grant of one principal at one backend is, or the gateway's own. Nothing that was sealed for another
    /// backend, URL or principal opens there.
    pub(super) fn slot(self: &Arc<Self>, backend: &str, url: &Url, principal: Option<&str>) -> Slot {
        let (file, purpose) = match principal {
            None => (format!("{backend}.shared"), format!("switchyard grant 1\n{backend}\nshared\n{url}")),
            // A principal may be called anything, a file may not.
            Some(name) => (
                format!("{backend}.{}.grant", digest_of(name)),
                format!("switchyard grant of a principal 1\n{backend}\n{url}\n{name}"),
            ),
        };
        let path = self.directory.join(file);
        Slot { path, purpose: purpose.into_bytes(), vault: Arc::clone(self) }
    }

    fn key_file(&self) -> PathBuf {
        self.directory.join("key")
    }

    fn own_key(&self) -> io::Result<Option<SealingKeys>> {
        Ok(read(&self.key_file())?.map(|bytes| {
            SealingKeys::new(&[SecretString::from(String::from_utf8_lossy(&bytes).into_owned())])
        }))
    }

    /// Makes the key, unless another process was faster.
    fn make_key(&self) -> io::Result<SealingKeys> {
        let mut bytes = [0u8; 32];
        rand::fill(&mut bytes).map_err(|_| io::Error::other("no entropy for a key"))?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        files::make(&self.key_file(), text.as_bytes())?;
        self.own_key()?.ok_or_else(|| io::Error::other("the key is gone"))
    }

    fn open(&self, purpose: &[u8], sealed: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if let Some(text) = self.configured.load().open(purpose, sealed) {
            return Ok(Some(text));
        }
        Ok(self.own_key()?.and_then(|key| key.open(purpose, sealed)))
    }

    fn seal(&self, purpose: &[u8], text: Vec<u8>) -> io::Result<Vec<u8>> {
        let configured = self.configured.load();
        let sealed = match (configured.is_empty(), self.own_key()?) {
            (false, _) => configured.seal(purpose, text),
            (true, Some(key)) => key.seal(purpose, text),
            (true, None) => self.make_key()?.seal(purpose, text),
        };
        sealed.ok_or_else(|| io::Error::other("it could not be sealed"))
    }
}

/// When a file was written, and how long it is.
pub(super) type Stamp = Option<(SystemTime, u64)>;

/// The place of one grant.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    vault: Arc<Vault>,
    path: PathBuf,
    purpose: Vec<u8>,
}

impl Slot {
    /// Reads what is kept. Blocks.
    ///
    /// # Errors
    /// What the file system refused. A file that does not open (another key, another URL) is no grant.
    pub(super) fn load(&self) -> io::Result<Kept> {
        let Some(sealed) = read(&self.path)? else { return Ok(Kept::default()) };
        let text = self.vault.open(&self.purpose, &sealed)?;
        let kept = text.and_then(|text| serde_json::from_slice(&text).ok());
        if kept.is_none() {
            let file = self.path.display();
            tracing::warn!(%file, "a kept grant does not open with the keys and for the URL of now");
        }
        Ok(kept.unwrap_or_default())
    }

    /// Replaces what is kept as a whole. Blocks.
    ///
    /// # Errors
    /// What the file system refused; the old grant is then still there.
    pub(super) fn save(&self, kept: &Kept) -> io::Result<()> {
        self.make_directory()?;
        let sealed = self.vault.seal(&self.purpose, serde_json::to_vec(kept)?)?;
        files::replace(&self.path, |file| file.write_all(&sealed))
    }

    /// Changes with the file.
    pub(super) fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    /// Keeps other processes from renewing the same grant for as long as the answer lives: a refresh token
    /// is used once.
    ///
    /// # Errors
    /// When the other process does not end, or there can be no lock file.
    pub(super) async fn lock(&self) -> Result<File, OAuthError> {
        self.make_directory()?;
        let file = files::private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.with_extension("lock"))?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            if Instant::now() >= deadline {
                return Err(OAuthError::Locked);
            }
            sleep(BETWEEN).await;
        }
        Ok(file)
    }

    fn make_directory(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.vault.directory)
    }
}

fn digest_of(name: &str) -> String {
    let digest = digest(&SHA256, name.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::grant::{Client, Grant};
    use super::*;

    fn kept() -> Kept {
        let client = Client { id: "me".into(), secret: Some("s3cr3t".into()), redirect_uri: String::new() };
        let grant = Grant {
            issuer: "https://as.example.com".into(),
            client,
            access_token: "s3cr3t-access".into(),
            refresh_token: Some("s3cr3t-refresh".into()),
            received_at: 1,
            expires_in: None,
            scopes: Vec::new(),
        };
        Kept { grant: Some(grant), ..Kept::default() }
    }

    fn slot(directory: &Path, secrets: &[SecretString], url: &str) -> Slot {
        Vault::new(directory, secrets).slot("crm", &Url::parse(url).unwrap(), None)
    }

    fn token(slot: &Slot) -> Option<String> {
        slot.load().unwrap().grant.map(|grant| grant.access_token)
    }

    const URL: &str = "https://crm.example.com/mcp";

    #[test]
    fn a_grant_is_read_again_but_not_from_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let slot = slot(directory.path(), &[], URL);
        assert!(token(&slot).is_none() && slot.stamp().is_none());
        slot.save(&kept()).unwrap();
        assert_eq!(token(&slot).as_deref(), Some("s3cr3t-access"));
        for file in fs::read_dir(directory.path().join("oauth")).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"s3cr3t"));
        }
    }

    #[test]
    fn a_grant_opens_for_its_own_url_and_with_its_own_key_only() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        slot(directory.path(), std::slice::from_ref(&old), URL).save(&kept()).unwrap();
        assert!(
            token(&slot(directory.path(), std::slice::from_ref(&old), "https://evil.example.com/")).is_none()
        );
        assert!(token(&slot(directory.path(), std::slice::from_ref(&new), URL)).is_none());
        assert!(token(&slot(directory.path(), &[new, old], URL)).is_some());
    }

    #[tokio::test]
    async fn grants_of_principals_are_apart_whatever_they_are_called() {
        let directory = tempfile::tempdir().unwrap();
        let (vault, url) = (Vault::new(directory.path(), &[]), Url::parse(URL).unwrap());
        let names = [None, Some("shared"), Some("lock"), Some("../key"), Some("a\nb"), Some("")];
        let slots = names.map(|name| vault.slot("crm", &url, name));
        slots[1].save(&kept()).unwrap();
        assert_eq!(
            slots.each_ref().map(|slot| token(slot).is_some()),
            [false, true, false, false, false, false]
        );
        // A file in another's place does not open, and nobody waits for another's renewal.
        fs::copy(&slots[1].path, &slots[2].path).unwrap();
        assert!(token(&slots[2]).is_none());
        let _held = slots[1].lock().await.unwrap();
        assert!(slots[2].lock().await.is_ok());
        assert!(fs::read_dir(directory.path()).unwrap().count() == 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_look_at_the_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        slot(directory.path(), &[], URL).save(&kept()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = directory.path().join("oauth");
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("key")), 0o600);
        assert_eq!(mode(&folder.join("crm.shared")), 0o600);
    }

    #[tokio::test(start_paused = true)]
    async fn two_processes_do_not_hold_the_same_lock() {
        let directory = tempfile::tempdir().unwrap();
        let slot = slot(directory.path(), &[], URL);
        let held = slot.lock().await.unwrap();
        assert!(matches!(slot.lock().await, Err(OAuthError::Locked)));
        drop(held);
        assert!(slot.lock().await.is_ok());
    }
}
