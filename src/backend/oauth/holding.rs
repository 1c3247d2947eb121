//! What is known of a grant now, and how does it stay the same in memory, on disk and in other processes?

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::OAuthError;
use super::grant::Kept;
use super::vault::{Slot, Stamp};

/// How long what was read of a grant is believed, and how often one that is waited for is looked for.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// The grant of one principal at one backend.
pub(super) struct Holding {
    slot: Slot,
    held: Mutex<Held>,
    /// Taken to look at the file for a call: one thread at a time waits for a disk that does not answer.
    looking: Arc<tokio::sync::Mutex<()>>,
}

struct Held {
    kept: Arc<Kept>,
    /// Of the file that it was read from.
    stamp: Stamp,
    /// When a call last had the file looked at.
    looked: Option<Instant>,
}

impl Holding {
    /// Reads what is kept; blocks for as long as that takes.
    pub(super) fn read(slot: Slot, backend: &str) -> Self {
        let stamp = slot.stamp();
        let kept = slot.load().unwrap_or_else(|error| {
            tracing::warn!(backend, %error, "the kept grant cannot be read");
            Kept::default()
        });
        let held = Mutex::new(Held { kept: Arc::new(kept), stamp, looked: None });
        Self { slot, held, looking: Arc::default() }
    }

    pub(super) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.held.lock().kept)
    }

    pub(super) fn token(&self) -> Option<String> {
        self.kept().grant.as_ref().map(|grant| grant.access_token.clone())
    }

    pub(super) fn has_token(&self) -> bool {
        self.held.lock().kept.grant.is_some()
    }

    /// Whether there is another token than this one by now.
    pub(super) async fn has_another_than(&self, used: Option<&str>) -> Result<bool, OAuthError> {
        self.reload().await?;
        let token = self.token();
        Ok(token.is_some() && token.as_deref() != used)
    }

    /// Keeps other processes from changing the grant.
    pub(super) async fn lock(&self) -> Result<File, OAuthError> {
        self.slot.lock().await
    }

    /// Takes in what another process kept.
    pub(super) async fn reload(&self) -> Result<(), OAuthError> {
        self.reload_with(()).await
    }

    /// The same for a call: once in [`LOOK`], unless there is no token, and for no longer than that.
    pub(super) async fn look(&self) -> Result<(), OAuthError> {
        if self.was_looked_at() {
            return Ok(());
        }
        let looking = async {
            let only_one = Arc::clone(&self.looking).lock_owned().await;
            if self.was_looked_at() {
                return Ok(());
            }
            let now = Instant::now();
            let read = self.reload_with(only_one).await;
            self.held.lock().looked = Some(now);
            read
        };
        timeout(LOOK, looking).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    fn was_looked_at(&self) -> bool {
        let held = self.held.lock();
        held.kept.grant.is_some() && held.looked.is_some_and(|looked| looked.elapsed() < LOOK)
    }

    /// No file is touched on the thread of the caller, which many connections share. `guard` lives for as long as the
    /// disk takes, even if nobody waits any more.
    async fn reload_with(&self, guard: impl Send + 'static) -> Result<(), OAuthError> {
        let (slot, before) = (self.slot.clone(), self.held.lock().stamp);
        let reading = tokio::task::spawn_blocking(move || {
            let _guard = guard;
            let stamp = slot.stamp();
            if stamp == before { Ok(None) } else { slot.load().map(|kept| Some((kept, stamp))) }
        });
        let Some((kept, stamp)) = reading.await.map_err(io::Error::other)?? else { return Ok(()) };
        let mut held = self.held.lock();
        (held.kept, held.stamp) = (Arc::new(kept), stamp);
        Ok(())
    }

    /// Changes what is held and keeps it. The caller holds the lock between processes.
    pub(super) async fn update(&self, change: impl FnOnce(&mut Kept)) -> Result<(), OAuthError> {
        self.reload().await?;
        let mut kept = (*self.kept()).clone();
        change(&mut kept);
        let kept = Arc::new(kept);
        // Held even if the disk is full: a refresh token that was used is the only one there is.
        self.held.lock().kept = Arc::clone(&kept);
        let slot = self.slot.clone();
        let saving = tokio::task::spawn_blocking(move || slot.save(&kept).map(|()| slot.stamp()));
        let stamp = saving.await.map_err(io::Error::other)??;
        self.held.lock().stamp = stamp;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::time::advance;
    use url::Url;

    use super::super::grant::{Client, Grant};
    use super::super::vault::Vault;
    use super::*;

    fn kept(token: &str) -> Kept {
        let grant = Grant {
            issuer: String::new(),
            client: Client { id: String::new(), secret: None, redirect_uri: String::new() },
            access_token: token.to_owned(),
            refresh_token: None,
            received_at: 0,
            expires_in: None,
            scopes: Vec::new(),
        };
        Kept { grant: Some(grant), ..Kept::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_is_looked_for_every_half_second_and_at_once_if_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let url = Url::parse("https://crm.example.com/mcp").unwrap();
        let slot = Vault::new(directory.path(), &[]).slot("crm", &url, Some("ann"));
        let holding = Holding::read(slot.clone(), "crm");
        let seen = async || {
            holding.look().await.unwrap();
            holding.token()
        };
        assert_eq!(seen().await, None);
        slot.save(&kept("one")).unwrap();
        assert_eq!(seen().await.as_deref(), Some("one"));
        slot.save(&kept("another")).unwrap();
        assert_eq!(seen().await.as_deref(), Some("one"));
        advance(LOOK).await;
        assert_eq!(seen().await.as_deref(), Some("another"));
        slot.save(&Kept::default()).unwrap();
        advance(LOOK).await;
        assert_eq!(seen().await, None);
    }
}
