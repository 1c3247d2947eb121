//! What happens to a client that stops reading? Its connection is closed, so that it cannot hold a
//! call, a queue and a socket for ever.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::connection::Connection;

/// A stream whose writes fail once one of them made no progress for `patience`.
pub(super) struct Impatient<S> {
    stream: S,
    patience: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    connection: Option<Arc<Connection>>,
}

impl<S> Impatient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, deadline: None, connection: None }
    }

    /// Has `connection` know whether something is being written.
    pub(super) fn noting_in(self, connection: Arc<Connection>) -> Self {
        Self { connection: Some(connection), ..self }
    }

    fn writes(&self, is_writing: bool) {
        if let Some(connection) = &self.connection {
            connection.writes(is_writing);
        }
    }

    fn judge<T>(&mut self, progress: Poll<Result<T>>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if progress.is_ready() {
            self.deadline = None;
            return progress;
        }
        let patience = self.patience;
        ready!(self.deadline.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client stopped reading")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.writes(true);
        let progress = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(progress, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.writes(true);
        let progress = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(progress, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(cx);
        if progress.is_ready() {
            self.writes(false);
        }
        self.judge(progress, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_ends_the_write_after_the_patience() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut stream = Impatient::new(near, Duration::from_secs(30));
        let start = tokio::time::Instant::now();
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 30);
        assert_eq!(far.read(&mut [0; 64]).await.unwrap(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_served_for_as_long_as_it_reads() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut stream = Impatient::new(near, Duration::from_secs(30));
        let reader = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::advance(Duration::from_secs(20)).await;
                far.read_u8().await.unwrap();
            }
        });
        stream.write_all(&[0; 4]).await.unwrap();
        reader.await.unwrap();
    }
}
