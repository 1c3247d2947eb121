//! What does a session's stream for messages that answer nothing send?

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::events::EventWriter;
use super::sessions::OpenStream;
use crate::protocol::frame;
use crate::router::Changes;

/// Writes changes of the catalog until the session or the gateway ends.
pub(super) async fn write(
    stream: OpenStream,
    mut changes: Changes,
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
            next = timeout(keep_alive, changes.next()) => next,
        };
        match next {
            Ok(Some(names)) if stream.is_newest() => {
                for name in names {
                    out.message(&frame::notification(name, None)).await;
                }
            }
            Ok(None) => return,
            // A change told elsewhere is a sign of life here: the wait for silence begins anew with it.
            Ok(Some(_)) | Err(_) => out.comment().await,
        }
    }
}
