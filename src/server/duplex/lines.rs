//! Where does a line of a stream end, and what of a line that does not?

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// A line of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its text.
    Text(Bytes),
    /// It was longer than allowed and is skipped.
    TooLong,
}

/// Cuts a stream into lines, keeping at most `longest` bytes of one.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    partial: BytesMut,
    longest: usize,
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        let reader = BufReader::with_capacity(64 * 1024, reader);
        Self { reader, partial: BytesMut::new(), longest, skipping: false }
    }

    /// The next line that is not blank; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(self.take());
            }
            let end = memchr::memchr(b'\n', chunk);
            let taken = &chunk[..end.unwrap_or(chunk.len())];
            if self.partial.len() + taken.len() > self.longest {
                self.skipping = true;
                self.partial.clear();
            } else if !self.skipping {
                self.partial.extend_from_slice(taken);
            }
            let consumed = taken.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            if end.is_some()
                && let Some(line) = self.take()
            {
                return Ok(Some(line));
            }
        }
    }

    fn take(&mut self) -> Option<Line> {
        if std::mem::take(&mut self.skipping) {
            return Some(Line::TooLong);
        }
        let text = self.partial.split().freeze();
        (!text.trim_ascii().is_empty()).then_some(Line::Text(text))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn cut(text: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(text, 5);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn an_overlong_line_is_reported_once_and_the_next_one_is_read() {
        let text = |text: &'static str| Line::Text(Bytes::from_static(text.as_bytes()));
        assert_eq!(cut(b"12345\n123456789\n\n \r\nab").await, [text("12345"), Line::TooLong, text("ab")]);
        assert_eq!(cut(b"123456").await, [Line::TooLong]);
    }
}
