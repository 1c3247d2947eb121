//! How is a response read from a socket?

use std::io::{Read, Result};
use std::time::Instant;

use memchr::memmem;

/// Reads responses one after the other.
pub(crate) struct Reader<R> {
    stream: R,
    buffer: Vec<u8>,
    filled: usize,
    at: usize,
}

/// One response; its body is left in the buffer it was read to.
#[derive(Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) is_stream: bool,
    pub(crate) body: Vec<u8>,
    /// When the first of its body came.
    pub(crate) first: Option<Instant>,
}

enum Length {
    Known(usize),
    Chunked,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, buffer: vec![0; 64 * 1024], filled: 0, at: 0 }
    }

    /// Reads a response into `response`, whose memory is used again.
    pub(crate) fn read(&mut self, response: &mut Response) -> Result<()> {
        let head = self.until(b"\r\n\r\n")?;
        let length = read_head(&head, response);
        response.body.clear();
        response.first = None;
        match length {
            Length::Known(bytes) => self.take(bytes, response)?,
            Length::Chunked => loop {
                let line = self.until(b"\r\n")?;
                let size =
                    std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line, 16).ok());
                match size.expect("the size of a chunk") {
                    0 => break self.until(b"\r\n").map(drop)?,
                    size => self.take(size, response)?,
                }
                self.until(b"\r\n")?;
            },
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: usize, response: &mut Response) -> Result<()> {
        while bytes > 0 {
            if self.at == self.filled {
                self.fill()?;
            }
            response.first.get_or_insert_with(Instant::now);
            let here = bytes.min(self.filled - self.at);
            response.body.extend_from_slice(&self.buffer[self.at..self.at + here]);
            self.at += here;
            bytes -= here;
        }
        Ok(())
    }

    /// What comes before `end`, which is skipped.
    fn until(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(found) = memmem::find(&self.buffer[self.at..self.filled], end) {
                let text = self.buffer[self.at..self.at + found].to_vec();
                self.at += found + end.len();
                return Ok(text);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.at..self.filled, 0);
        (self.filled, self.at) = (self.filled - self.at, 0);
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        if read == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn read_head(head: &[u8], response: &mut Response) -> Length {
    let head = std::str::from_utf8(head).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    response.status = status.expect("a status");
    (response.session, response.is_stream) = (None, false);
    let mut length = Length::Known(0);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Length::Known(value.parse().expect("a length")),
            "transfer-encoding" => length = Length::Chunked,
            "content-type" => response.is_stream = value.starts_with("text/event-stream"),
            "mcp-session-id" => response.session = Some(value.to_owned()),
            _ => {}
        }
    }
    length
}
