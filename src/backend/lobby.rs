//! How many calls may wait before they ask for a place: for the first connection, or for their turn on their own?
//!
//! A call of a legacy client goes on when the client leaves, so what waits is not bounded by connections.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::resilience::{FairShare, Share};

use super::{Failure, FailureKind, Sent};

/// Calls that wait at one backend.
const MAX_WAITING: usize = 1_024;

/// The calls that wait, by principal.
#[derive(Debug)]
pub(super) struct Lobby(Mutex<FairShare<Arc<str>>>);

impl Default for Lobby {
    fn default() -> Self {
        Self(Mutex::new(FairShare::new(MAX_WAITING)))
    }
}

impl Lobby {
    /// Counts a call as waiting for as long as the guard lives.
    ///
    /// # Errors
    /// Busy, when too many wait; there is an eighth more for those of whom few do.
    pub(super) fn enter(&self, principal: &Arc<str>) -> Result<Waiting<'_>, Failure> {
        let mut waiting = self.0.lock();
        match waiting.admit(principal) {
            Share::Admitted => {}
            Share::Evict(_) if waiting.total() < MAX_WAITING + MAX_WAITING / 8 => waiting.add(principal, 1),
            Share::Evict(_) | Share::Reject => {
                let message = format!("{MAX_WAITING} calls wait for the backend already");
                return Err(Failure::new(FailureKind::Busy, Sent::No, message));
            }
        }
        Ok(Waiting { lobby: self, principal: Arc::clone(principal) })
    }
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    lobby: &'a Lobby,
    principal: Arc<str>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.lobby.0.lock().remove(&self.principal, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_wait_and_a_few_more_of_others() {
        let (lobby, ann, bob) = (Lobby::default(), Arc::from("ann"), Arc::from("bob"));
        let anns: Vec<_> = (0..=MAX_WAITING).map(|_| lobby.enter(&ann)).collect();
        assert_eq!(anns.iter().filter(|entered| entered.is_ok()).count(), MAX_WAITING);
        let bobs: Vec<_> = (0..=MAX_WAITING / 8).map(|_| lobby.enter(&bob)).collect();
        assert_eq!(bobs.iter().filter(|entered| entered.is_ok()).count(), MAX_WAITING / 8);
        drop((anns, bobs));
        assert_eq!(lobby.0.lock().total(), 0);
    }
}
