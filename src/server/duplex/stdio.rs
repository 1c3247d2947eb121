//! How are messages framed over stdin and stdout (MCP, basic/transports, stdio)?

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::lines::{Line, Lines};
use super::{Duplex, Outgoing, outbox};
use crate::protocol::RpcError;
use crate::router::Principal;
use crate::server::Server;

/// A client that takes nothing for so long is gone.
const WRITE_STALL: Duration = Duration::from_secs(60);
/// For the client to take the answers that are left once nothing more is served.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves the one client on `reader` and `writer` until the end of its input or the server's shutdown; calls
/// in flight are finished within [`ServerSettings::drain`](crate::server::ServerSettings). A client that closed the
/// other end of `writer` has left, which is an end like any other.
///
/// # Errors
/// When `writer` fails, or takes nothing for a minute, or for five seconds at the end.
pub async fn serve_stdio(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    server: Arc<Server>,
) -> io::Result<()> {
    let policy = server.policy();
    let (outbox, outgoing) = outbox();
    let duplex = Duplex::new(Arc::clone(&server), Principal::anonymous(), None, outbox, "stdio");
    let mut writing = tokio::spawn(write(outgoing, writer));
    let longest = policy.limits.body_bytes;
    tokio::select! {
        () = read(Lines::new(reader, longest), longest, &duplex) => {
            // A client that closed our input may still read (a script), or be about to send SIGTERM.
            tokio::select! {
                () = duplex.finish(policy.drain) => {}
                () = server.shutdown.cancelled() => duplex.abandon(),
            }
        }
        () = server.shutdown.cancelled() => duplex.finish(policy.drain).await,
        written = &mut writing => {
            duplex.abandon();
            return unless_left(written?);
        }
    }
    match timeout(LAST_ANSWERS, &mut writing).await {
        Ok(written) => unless_left(written?),
        Err(late) => {
            writing.abort();
            Err(late.into())
        }
    }
}

fn unless_left(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

async fn read(mut lines: Lines<impl AsyncRead + Unpin>, longest: usize, duplex: &Arc<Duplex>) {
    loop {
        match lines.next().await {
            Ok(Some(Line::Text(text))) => duplex.receive(text).await,
            Ok(Some(Line::TooLong)) => {
                let error = RpcError::invalid_request(format!("a message is longer than {longest} bytes"));
                duplex.refuse(None, error, &duplex.draw_request_id()).await;
            }
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "reading the client's messages failed"),
        }
    }
}

async fn write(mut outgoing: Outgoing, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
    while let Some(frame) = outgoing.next().await {
        let mut next = Some(frame);
        let whole = async {
            while let Some(frame) = next {
                writer.write_all(&one_line(frame)).await?;
                writer.write_all(b"\n").await?;
                next = outgoing.ready();
            }
            writer.flush().await
        };
        timeout(WRITE_STALL, whole).await??;
    }
    Ok(())
}

/// A message on one line. JSON has raw line ends only between tokens, where a space means the same.
fn one_line(frame: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &frame).is_none() {
        return frame;
    }
    frame.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relayed_line_ends_do_not_end_the_message() {
        assert_eq!(one_line(Bytes::from_static(b"{\r\n\"a\":\"\\n\"}")), "{  \"a\":\"\\n\"}");
    }
}
