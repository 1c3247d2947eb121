//! What does a session's stream for messages that answer nothing send?

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::events::EventWriter;
use super::http_session::OpenStream;
use crate::server::notices::Notices;

/// Writes changes of the catalog and updates of resources until the session or the gateway ends.
pub(super) async fn write(
    stream: OpenStream,
    mut notices: Notices,
    keep_alive: Duration,
    shutdown: CancellationToken,
    out: EventWriter,
) {
    // Something must be sent at once, or some proxies and clients wait for the headers too.
    out.comment().await;
    loop {
        let next = tokio::select! {
            () = shutdown.cancelled() => return,
            () = stream.session_ended() => return,
            next = timeout(keep_alive, notices.next()) => next,
        };
        let changed = match next {
            Ok(Some(changed)) => changed,
            Ok(None) => return,
            Err(_silence) => Vec::new(),
        };
        // Also after a silence: the stream that was the newest may have ended before it told all.
        let frames = if stream.is_newest() { notices.frames(&changed) } else { Vec::new() };
        if frames.is_empty() {
            // What is told elsewhere is a sign of life here: the wait for silence begins anew with it.
            out.comment().await;
        }
        for frame in frames {
            out.message(&frame).await;
        }
    }
}
