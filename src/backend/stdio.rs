//! The stdio transport: one JSON-RPC message a line, over a child's standard input and output.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::child::{Child, Pipes, StderrTail};
use super::pipe::{Frame, Pipe};
use super::signals::Signals;
use super::wire::counted;
use super::{Failure, MAX_MESSAGE_BYTES, ProcessSettings};

/// To write what was said before a connection was ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Starts the child and the two tasks that move its messages.
pub(super) fn connect(
    settings: &ProcessSettings,
    backend: &str,
    tail: &StderrTail,
    is_interactive: bool,
) -> Result<(Pipe, Child), Failure> {
    let (child, pipes) =
        Child::spawn(settings, backend, tail).map_err(|error| Failure::unavailable(error.to_string()))?;
    let Some(Pipes { stdin, stdout }) = pipes else {
        return Err(Failure::unavailable("the process has no standard streams"));
    };
    let (pipe, frames) = Pipe::new(Signals::new(backend), is_interactive);
    run(pipe.clone(), frames, (stdout, stdin));
    Ok((pipe, child))
}

/// Moves the messages of a pipe over any pair of byte streams.
fn run(
    pipe: Pipe,
    frames: mpsc::Receiver<Frame>,
    (reader, writer): (impl AsyncRead + Unpin + Send + 'static, impl AsyncWrite + Unpin + Send + 'static),
) {
    tokio::spawn(write_frames(writer, frames, pipe.signals().clone()));
    tokio::spawn(read_lines(reader, pipe));
}

/// Ends, and so closes the child's standard input, when the connection is lost. What was said before and starts
/// nothing, that a call is given up above all, is still written.
async fn write_frames(
    mut writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Frame>,
    signals: Signals,
) {
    loop {
        let frame = tokio::select! {
            biased;
            _ = signals.lost() => None,
            frame = frames.recv() => frame,
        };
        let Some(frame) = frame else { return write_rest(writer, frames).await };
        if frame.call.as_ref().is_some_and(|call| !call.start()) {
            continue;
        }
        let written = tokio::select! {
            written = write_line(&mut writer, &frame.text) => written,
            _ = signals.lost() => return,
        };
        if let Err(error) = written {
            return signals.lose(signals.ended(format!("failed to write to the process: {error}")));
        }
    }
}

async fn write_rest(mut writer: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Frame>) {
    let writing = async {
        while let Ok(frame) = frames.try_recv() {
            // The caller of a request has been told that it was not sent.
            if frame.call.is_none() && write_line(&mut writer, &frame.text).await.is_err() {
                return;
            }
        }
    };
    // A process that reads nothing is not waited for.
    let _ = timeout(LAST_WORDS, writing).await;
}

async fn write_line(writer: &mut (impl AsyncWrite + Unpin), text: &Bytes) -> std::io::Result<()> {
    let mut line = BytesMut::with_capacity(text.len() + 1);
    // Line ends stand only between tokens of a JSON text, where a blank means the same.
    line.extend(text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    line.extend_from_slice(b"\n");
    writer.write_all(&line).await?;
    writer.flush().await
}

/// Reads until the stream ends or a line grows past the bound: then nothing can be trusted any more.
async fn read_lines(mut reader: impl AsyncRead + Unpin, pipe: Pipe) {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let mut scanned = 0;
    let reason = loop {
        while let Some(end) = memchr::memchr(b'\n', &buffer[scanned..]).map(|at| scanned + at) {
            let line = buffer.split_to(end + 1).freeze();
            scanned = 0;
            receive(&pipe, &counted(line).await);
            if pipe.signals().is_lost() {
                break;
            }
        }
        scanned = buffer.len();
        if scanned > MAX_MESSAGE_BYTES {
            break format!("the process wrote a line longer than {MAX_MESSAGE_BYTES} bytes");
        }
        let read = tokio::select! {
            read = reader.read_buf(&mut buffer) => read,
            reason = pipe.signals().lost() => break reason,
        };
        match read {
            Ok(0) => break pipe.signals().ended("the process closed its standard output"),
            Ok(_) => {}
            Err(error) => break pipe.signals().ended(format!("failed to read from the process: {error}")),
        }
    };
    pipe.lose(&reason);
}

/// Many servers print a banner to standard output; a line that is no message is skipped.
fn receive(pipe: &Pipe, line: &Bytes) {
    let is_blank = line.iter().all(u8::is_ascii_whitespace);
    if is_blank || !pipe.receive(line) {
        pipe.signals().garbage(line);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::wire::{Outgoing, WireEvent};
    use super::*;

    fn pair() -> (Pipe, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (pipe, frames) = Pipe::new(Signals::default(), false);
        run(pipe.clone(), frames, tokio::io::split(ours));
        (pipe, theirs)
    }

    #[tokio::test]
    async fn garbage_between_messages_is_skipped() {
        let (pipe, mut theirs) = pair();
        let mut reply = pipe.start(&Outgoing::new(1, "x", None)).unwrap();
        theirs
            .write_all(b"Starting server...\n\n[1,2]\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r\n")
            .await
            .unwrap();
        assert!(matches!(reply.next().await, WireEvent::Answer(Ok(_))));
    }

    #[tokio::test]
    async fn a_flood_of_garbage_ends_the_connection_with_that_reason() {
        let (pipe, mut theirs) = pair();
        let flood = b"}{\n".repeat(10_000);
        while theirs.write_all(&flood).await.is_ok() {}
        assert_eq!(pipe.signals().reason(), "the backend floods the connection with what is no MCP message");
    }

    #[tokio::test]
    async fn a_backend_that_asks_without_end_is_answered_for_a_while_only() {
        let (pipe, mut theirs) = pair();
        let pings = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n".repeat(100);
        while theirs.write_all(&pings).await.is_ok() {}
        assert!(pipe.signals().is_lost());
    }

    #[tokio::test]
    async fn the_end_of_the_stream_ends_the_calls() {
        let (pipe, theirs) = pair();
        let mut reply = pipe.start(&Outgoing::new(1, "x", None)).unwrap();
        drop(theirs);
        assert!(matches!(reply.next().await, WireEvent::Failed(_)));
        assert!(pipe.signals().is_lost());
    }

    #[tokio::test]
    async fn what_was_said_before_the_end_is_written_and_no_request() {
        let (pipe, mut theirs) = pair();
        let _reply = pipe.start(&Outgoing::new(1, "x", None)).unwrap();
        pipe.notify("notifications/cancelled", None);
        // On this one thread the writer has not had its turn yet.
        pipe.lose("not needed any more");
        let mut written = String::new();
        theirs.read_to_string(&mut written).await.unwrap();
        assert_eq!(written, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}\n");
    }

    #[tokio::test]
    async fn line_ends_inside_a_message_are_written_as_blanks() {
        let mut out = Vec::new();
        write_line(&mut out, &Bytes::from_static(b"{\r\n\"a\":\n1}")).await.unwrap();
        assert_eq!(out, b"{  \"a\": 1}\n");
    }
}
