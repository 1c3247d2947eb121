//! What do backends keep for a client's session, and what do they hear of it?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::router::Router;

/// Tells a session from every other one in the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

impl SessionId {
    pub(super) fn number(self) -> u64 {
        self.0
    }

    #[cfg(test)]
    pub(super) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// A session of a client, as the backends know it. Dropping it ends the connections that are kept for it.
pub struct SessionHold {
    id: SessionId,
    router: Arc<Router>,
}

impl Router {
    /// Begins a session.
    pub fn begin_session(self: &Arc<Self>) -> SessionHold {
        static BEGUN: AtomicU64 = AtomicU64::new(0);
        let id = SessionId(BEGUN.fetch_add(1, Ordering::Relaxed));
        SessionHold { id, router: Arc::clone(self) }
    }
}

impl SessionHold {
    /// For the session's requests.
    pub fn id(&self) -> SessionId {
        self.id
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Tells the backends that keep a connection for the session that its client's roots changed.
    pub fn roots_changed(&self) {
        self.router.backends().iter().for_each(|backend| backend.roots_changed(self.id.0));
    }
}

impl Drop for SessionHold {
    fn drop(&mut self) {
        self.router.visits().forget(self.id);
        self.router.backends().iter().for_each(|backend| backend.end_session(self.id.0));
    }
}
