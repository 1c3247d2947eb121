//! HTTP/1.1 as bare as it gets, so that it can be broken at any byte.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Most that a request may take.
const MAX: usize = 16 * 1024 * 1024;

/// One request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) session: Option<String>,
    pub(super) body: Vec<u8>,
}

/// One connection of the gateway.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, read: Vec::new() }
    }

    /// The next request; none once the gateway closes the connection.
    pub(super) async fn request(&mut self) -> io::Result<Option<Request>> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            if !self.more().await? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            if !self.more().await? {
                return Ok(None);
            }
        }
        let mut words = head.split_whitespace();
        Ok(Some(Request {
            method: words.next().unwrap_or_default().to_owned(),
            path: words.next().unwrap_or_default().to_owned(),
            session: header(&head, "mcp-session-id"),
            body: self.read.drain(..length).collect(),
        }))
    }

    async fn more(&mut self) -> io::Result<bool> {
        if self.read.len() > MAX {
            return Err(io::Error::other("a request without an end"));
        }
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    /// Returns once the gateway has closed the connection; what it sends until then is thrown away.
    pub(super) async fn closed(&mut self) {
        let mut sink = [0; 4096];
        while matches!(self.stream.read(&mut sink).await, Ok(1..)) {}
    }

    pub(super) async fn write(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    /// A whole response with a body of JSON, or none.
    pub(super) async fn respond(
        &mut self,
        status: &str,
        session: Option<&str>,
        body: &str,
    ) -> io::Result<()> {
        let session = session.map(|session| format!("mcp-session-id: {session}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{session}content-length: {length}\r\n\r\n"
        );
        self.write(&(head + body)).await
    }

    /// The head of an event stream that ends with the connection.
    pub(super) async fn begin_events(&mut self) -> io::Result<()> {
        self.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").await
    }

    /// One event with the text of a message.
    pub(super) async fn event(&mut self, name: &str, data: &str) -> io::Result<()> {
        self.write(&format!("event: {name}\ndata: {data}\n\n")).await
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim().to_owned())
}
