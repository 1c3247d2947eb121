//! What is known of a grant now, and how does it stay the same in memory, on disk and in other processes?

use std::fs::File;
use std::sync::Arc;

use parking_lot::Mutex;

use super::OAuthError;
use super::grant::Kept;
use super::vault::{Slot, Stamp};

/// The grant of one principal at one backend.
pub(super) struct Holding {
    slot: Slot,
    held: Mutex<Held>,
}

struct Held {
    kept: Arc<Kept>,
    /// Of the file that it was read from.
    stamp: Stamp,
}

impl Holding {
    /// Reads what is kept; blocks for as long as that takes.
    pub(super) fn read(slot: Slot, backend: &str) -> Self {
        let stamp = slot.stamp();
        let kept = slot.load().unwrap_or_else(|error| {
            tracing::warn!(backend, %error, "the kept grant cannot be read");
            Kept::default()
        });
        Self { slot, held: Mutex::new(Held { kept: Arc::new(kept), stamp }) }
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
        let stamp = self.slot.stamp();
        if stamp == self.held.lock().stamp {
            return Ok(());
        }
        let slot = self.slot.clone();
        let kept =
            tokio::task::spawn_blocking(move || slot.load()).await.map_err(std::io::Error::other)??;
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
        let stamp = saving.await.map_err(std::io::Error::other)??;
        self.held.lock().stamp = stamp;
        Ok(())
    }
}
