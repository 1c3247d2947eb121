//! When must a demo server stop?
//!
//! On SIGINT or SIGTERM, and when the process that started it is gone. The second is seen as the end of standard
//! input, which is only meaningful if that is a pipe: a terminal stays open, and `/dev/null` has ended from the start.

use std::io::Read;

use tokio::sync::oneshot;

/// Resolves when a signal asks to stop or when the pipe on standard input ends.
pub(super) async fn ended() {
    tokio::select! {
        () = signalled() => {}
        () = parent_gone() => {}
    }
}

/// Resolves on SIGINT or SIGTERM.
///
/// A handler that cannot be installed leaves the signal with its default effect, which also ends the process.
#[cfg(unix)]
pub(super) async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};

    let wait = async |kind| match signal(kind) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
pub(super) async fn signalled() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

async fn parent_gone() {
    if stdin_is_pipe() {
        end_of(std::io::stdin()).await;
    } else {
        std::future::pending().await
    }
}

/// Resolves when `input` has no more bytes; what arrives before that is thrown away.
///
/// A thread of its own instead of the runtime's blocking pool, because the runtime waits for its pool when it shuts
/// down and a read of an open pipe never returns.
async fn end_of(mut input: impl Read + Send + 'static) {
    let (alive, gone) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _alive = alive;
        let mut scratch = [0_u8; 1024];
        while matches!(input.read(&mut scratch), Ok(1..)) {}
    });
    // The sender is only ever dropped: the error is the event.
    let _ = gone.await;
}

/// Node.js gives its children sockets where other parents give pipes.
#[cfg(unix)]
fn stdin_is_pipe() -> bool {
    use std::os::{fd::AsFd, unix::fs::FileTypeExt};

    let file = std::io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
    file.and_then(|file| file.metadata())
        .is_ok_and(|metadata| metadata.file_type().is_fifo() || metadata.file_type().is_socket())
}

#[cfg(not(unix))]
fn stdin_is_pipe() -> bool {
    use std::io::IsTerminal;

    !std::io::stdin().is_terminal()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn the_end_is_seen_only_after_the_writer_is_gone() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut end = tokio::spawn(end_of(reader));
        writer.write_all(&[b'x'; 5000]).unwrap();
        tokio::task::yield_now().await;
        assert!(!end.is_finished(), "bytes on the pipe are not its end");
        drop(writer);
        (&mut end).await.unwrap();
    }
}
