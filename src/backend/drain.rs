//! When is the last call of a backend over?
//!
//! A call that waits for its client, or goes on as a task, has given its place in the bulkhead back and is not over.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Backend;
use super::replicas::Replicas;

/// Between two looks whether the last call of a backend that was taken out is over.
const LOOK: Duration = Duration::from_millis(50);

impl Backend {
    /// Waits until every call is over, at most for as long as the longest call may take.
    pub async fn drained(&self) {
        let idle = async {
            // First a wait: a call may just have been given this backend.
            loop {
                sleep(LOOK).await;
                if !self.has_calls() {
                    return;
                }
            }
        };
        let _ = timeout(self.settings().timeouts.total, idle).await;
    }

    fn has_calls(&self) -> bool {
        let at_replicas = || self.replicas().into_iter().flat_map(Replicas::each).any(Self::has_calls);
        self.is_busy() || !self.calls.is_empty() || at_replicas()
    }
}
