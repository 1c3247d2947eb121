//! What does a session's stream for messages that answer nothing send?

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::events::EventWriter;
use super::http_session::OpenStream;
use super::resumable::Stream;
use crate::server::notices::Notices;

/// Writes changes of the catalog and updates of resources to a session's stream.
pub(super) struct NoticeWriter {
    pub(super) open: OpenStream,
    pub(super) notices: Notices,
    pub(super) keep_alive: Duration,
    pub(super) shutdown: CancellationToken,
}

impl NoticeWriter {
    /// Writes until the session or the gateway ends, or the client is gone. Then the stream is paused for a client
    /// that comes back, unless the session has another one: messages go there.
    pub(super) async fn run(mut self, mut stream: Stream) {
        loop {
            let out = stream.writer();
            if !self.write(&out).await || !self.open.is_only() {
                return;
            }
            let Some(written) = out.into_stream() else { return };
            // A client may have come back at this moment.
            let Some((resumed, notices)) = written.pause(self.notices) else { return };
            (stream, self.notices) = (resumed, notices);
        }
    }

    /// Whether it ended because the client is gone.
    async fn write(&mut self, out: &EventWriter) -> bool {
        // Something must be sent at once, or some proxies and clients wait for the headers too.
        out.comment().await;
        loop {
            let next = tokio::select! {
                () = self.shutdown.cancelled() => return false,
                () = self.open.ended() => return false,
                () = out.unread() => return true,
                next = timeout(self.keep_alive, self.notices.next()) => next,
            };
            let changed = match next {
                Ok(Some(changed)) => changed,
                Ok(None) => return false,
                Err(_silence) => Vec::new(),
            };
            // Also after a silence: the stream that was the newest may have ended before it told all.
            let frames = if self.open.is_newest() { self.notices.frames(&changed) } else { Vec::new() };
            if frames.is_empty() {
                // What is told elsewhere is a sign of life here: the wait for silence begins anew with it.
                out.comment().await;
            }
            for frame in frames {
                out.message(&frame).await;
            }
        }
    }
}
