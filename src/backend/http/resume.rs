//! Where does a broken event stream go on?

use std::time::Duration;

use crate::protocol::SseEvent;

/// Wait before a broken stream is resumed, unless the server asked for another, and the longest it may ask for.
const WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Attempts that bring nothing.
const ATTEMPTS: u32 = 5;

/// Where a broken event stream goes on (MCP 2025-11-25, basic/transports, resumability).
#[derive(Debug)]
pub(super) struct Resume {
    last_event_id: Option<String>,
    wait: Duration,
    /// Attempts left; a stream that brings an event earns them anew.
    attempts: u32,
}

impl Default for Resume {
    fn default() -> Self {
        Self { last_event_id: None, wait: WAIT, attempts: ATTEMPTS }
    }
}

impl Resume {
    /// Takes note of where the stream has come to, and of how long its server wants to be left alone.
    pub(super) fn note(&mut self, event: &SseEvent) {
        if event.id.is_some() {
            self.last_event_id.clone_from(&event.id);
            self.attempts = ATTEMPTS;
        }
        if let Some(wait) = event.retry_ms {
            self.wait = Duration::from_millis(wait).min(MAX_WAIT);
        }
    }

    pub(super) fn is_possible(&self) -> bool {
        self.last_event_id.is_some() && self.attempts > 0
    }

    /// Waits for the next attempt, and says after which event it goes on.
    pub(super) async fn begin(&mut self) -> Option<&str> {
        tokio::time::sleep(self.wait).await;
        self.attempts = self.attempts.saturating_sub(1);
        self.last_event_id.as_deref()
    }
}
