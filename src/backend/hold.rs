//! Is a process that crashes again and again left alone for a while?

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::resilience::{CrashLoop, RestartSettings};

use super::{Backend, Failure, TransportSettings, now};

/// The crashes of a backend's processes.
#[derive(Debug)]
pub(super) struct Hold {
    crashes: Mutex<CrashLoop>,
    released: Notify,
}

impl Hold {
    pub(super) fn new(settings: &RestartSettings) -> Self {
        Self { crashes: Mutex::new(CrashLoop::new(settings)), released: Notify::new() }
    }
}

impl Backend {
    /// Notes that a process of this backend crashed, if it has any.
    pub(super) fn crashed(&self) {
        let has_process = match &self.settings().transport {
            TransportSettings::Stdio(_) => true,
            TransportSettings::Http { process, .. } | TransportSettings::Sse { process, .. } => {
                process.is_some()
            }
        };
        if has_process {
            self.hold.crashes.lock().crashed(now());
        }
    }

    /// How long no process is started yet.
    pub(super) fn held_for(&self) -> Option<Duration> {
        self.hold.crashes.lock().held_for(now())
    }

    /// Refuses to start a process now.
    pub(super) fn refuse_if_held(&self) -> Result<(), Failure> {
        let Some(left) = self.held_for() else { return Ok(()) };
        Err(Failure::unavailable("the process crashed 5 times within a minute and is not started for now")
            .retry_after(Some(left)))
    }

    /// For operators: that it is held, and what to do.
    pub(super) fn held(&self) -> Option<String> {
        let left = Duration::from_secs(self.held_for()?.as_secs() + 1);
        let left = humantime::format_duration(left);
        Some(format!(
            "the process crashed 5 times within a minute; it is started again in {left}, or at once after a reload: see `last_error` and `stderr`, run the command by hand, mend it"
        ))
    }

    /// Ends a hold: somebody says that it is worth another try.
    pub fn release(&self) {
        if self.held_for().is_some() {
            self.hold.crashes.lock().release();
            self.hold.released.notify_one();
        }
    }

    /// Waits until a hold was ended.
    pub(super) async fn released(&self) {
        self.hold.released.notified().await;
    }
}
