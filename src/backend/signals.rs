//! What a connection tells the rest of the room outside any call: it ended, its lists changed, one of its
//! resources was updated, a page of its was visited. And what is still said on it that nobody waits for.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::protocol::{ListKind, RawJson, RpcError, method};

use super::noise::Noise;
use super::watched::Watched;

/// Things that may be said at a time without anybody waiting for them.
const MAX_SAYING: usize = 256;

/// Shared by a connection's readers and its supervisor.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    lost: CancellationToken,
    reason: Arc<OnceLock<String>>,
    /// Set before the reason if the other side ended the connection.
    is_ended: Arc<OnceLock<()>>,
    changed: Arc<Notify>,
    renewed: Arc<Notify>,
    watched: Arc<OnceLock<Arc<Watched>>>,
    saying: TaskTracker,
    noise: Arc<Noise>,
}

impl Signals {
    /// The signals of a connection to `backend`.
    pub(super) fn new(backend: &str) -> Self {
        Self {
            lost: CancellationToken::new(),
            reason: Arc::default(),
            is_ended: Arc::default(),
            changed: Arc::default(),
            renewed: Arc::default(),
            watched: Arc::default(),
            saying: TaskTracker::new(),
            noise: Arc::new(Noise::new(backend)),
        }
    }

    /// Takes something that is no message; too much of it ends the connection.
    pub(super) fn garbage(&self, text: &[u8]) {
        if let Err(reason) = self.noise.garbage(text) {
            self.lose(reason);
        }
    }

    /// Whether a request of the backend is to be answered, which no client is asked; too many of them end the
    /// connection.
    pub(super) fn takes_request(&self) -> bool {
        self.noise.request().inspect_err(|reason| self.lose(*reason)).is_ok()
    }

    /// Says that the connection is of no use any more; the first reason stays.
    pub(super) fn lose(&self, reason: impl Into<String>) {
        let _ = self.reason.set(reason.into());
        self.lost.cancel();
    }

    /// Notes that the other side ended the connection; the reason is what it is to be lost for.
    pub(super) fn ended(&self, reason: impl Into<String>) -> String {
        if !self.is_lost() {
            let _ = self.is_ended.set(());
        }
        reason.into()
    }

    /// Whether the other side ended the connection: how its process ended then says why.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.get().is_some()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Waits until the connection is lost.
    pub(super) async fn lost(&self) -> String {
        self.lost.cancelled().await;
        self.reason()
    }

    /// Why it was lost.
    pub(super) fn reason(&self) -> String {
        self.reason.get().cloned().unwrap_or_else(|| "the connection ended".to_owned())
    }

    /// Says something in the background, that a call is given up for example; `false` if it is not said, because too
    /// much is being said already.
    pub(super) fn say(&self, words: impl Future<Output = ()> + Send + 'static) -> bool {
        // A call may be dropped while the runtime itself stops; then nobody is left to tell.
        let runtime = Handle::try_current().ok().filter(|_| self.saying.len() < MAX_SAYING);
        runtime.map(|runtime| self.saying.spawn_on(words, &runtime)).is_some()
    }

    /// Waits until everything was said: the connection may be closed then.
    pub(super) async fn said(&self) {
        self.saying.close();
        self.saying.wait().await;
    }

    /// Waits until the backend says that one of its lists changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says that the backend forgot the session, and that another one was opened. It may have been replaced by another
    /// version of itself, so its lists are fetched again.
    pub(super) fn renew(&self) {
        self.renewed.notify_one();
        self.changed.notify_one();
    }

    /// Waits until there is another session.
    pub(super) async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// Sets who is told of updated resources and visited pages; before, nobody is.
    pub(super) fn report_to(&self, watched: Arc<Watched>) {
        let _ = self.watched.set(watched);
    }

    /// Takes a notification that belongs to no request.
    pub(super) fn notification(&self, name: &str, params: Option<&RawJson>) {
        if name == method::RESOURCE_UPDATED {
            if let Some(watched) = self.watched.get() {
                watched.updated(params);
            }
        } else if name == method::ELICITATION_COMPLETE {
            if let Some(watched) = self.watched.get() {
                watched.visited(params);
            }
        } else if name == method::TASK_CHANGED {
            if let Some(watched) = self.watched.get() {
                watched.task_told(params);
            }
        } else if ListKind::ALL.into_iter().any(|kind| kind.changed() == name) {
            match self.watched.get() {
                // Whichever connection says so: the lists are those of all.
                Some(watched) => watched.freshness.told(),
                None => self.changed.notify_one(),
            }
        }
    }
}

#[cfg(test)]
impl Default for Signals {
    fn default() -> Self {
        Self::new("test")
    }
}

/// What a backend's request is answered that no client can be asked: `ping` is ours, anything else is
/// refused.
pub(super) fn answer_to(name: &str) -> Result<RawJson, RawJson> {
    match name {
        method::PING => Ok(RawJson::empty_object()),
        other => Err(RpcError::method_not_found(other).to_json()),
    }
}
