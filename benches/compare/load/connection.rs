//! One connection of a client, and the session on it.

use std::io::Write as _;
use std::net::TcpStream;

use memchr::memmem;

use super::latency::Latencies;
use super::pace::Pace;
use super::wire::{Reader, Response};
use super::work::{Work, initialize_params};
use super::{Arguments, since};

pub(crate) struct Connection {
    stream: TcpStream,
    reader: Reader<TcpStream>,
    host: String,
    path: String,
    session: Option<String>,
    work: Work,
    response: Response,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects, and opens a session where the era has some.
    pub(crate) fn open(arguments: &Arguments, number: usize) -> Self {
        let rest = arguments.url.strip_prefix("http://").expect("a URL of http");
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let stream = TcpStream::connect(host).expect("a server");
        stream.set_nodelay(true).expect("a socket");
        let work = Work::new(arguments, number);
        let mut connection = Self {
            reader: Reader::new(stream.try_clone().expect("a socket")),
            stream,
            host: host.to_owned(),
            path: format!("/{path}"),
            session: None,
            response: Response::default(),
            buffer: Vec::new(),
            work,
        };
        let is_new = arguments.work == super::Kind::Initialize;
        if !connection.work.is_modern && !connection.work.is_get() && !is_new {
            connection.begin_session();
        }
        connection
    }

    fn begin_session(&mut self) {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}}"#, initialize_params());
        self.exchange(text.as_bytes());
        assert_eq!(self.response.status, 200, "{}", String::from_utf8_lossy(&self.response.body));
        self.session = self.response.session.take();
        self.exchange(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    /// Sends requests as they are due, until none is.
    pub(crate) fn run(mut self, pace: &Pace) -> Latencies {
        let mut latencies = Latencies::default();
        while let Some(turn) = pace.turn() {
            let body = self.work.next().to_vec();
            self.exchange(&body);
            let taken = since(turn.since);
            self.check();
            let first = self.response.first.filter(|_| self.response.is_stream);
            if turn.counts {
                latencies.add(taken, first.map(|first| first.saturating_duration_since(turn.since)));
            }
        }
        latencies
    }

    fn exchange(&mut self, body: &[u8]) {
        self.buffer.clear();
        let (host, path) = (&self.host, &self.path);
        if self.work.is_get() {
            write!(self.buffer, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        } else {
            let length = body.len();
            write!(
                self.buffer,
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: {length}\r\n{}",
                self.work.headers()
            )
            .unwrap();
            if let Some(session) = &self.session {
                write!(self.buffer, "Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n")
                    .unwrap();
            }
            self.buffer.extend_from_slice(b"\r\n");
            self.buffer.extend_from_slice(body);
        }
        self.stream.write_all(&self.buffer).expect("an open connection");
        self.reader.read(&mut self.response).expect("a response");
    }

    fn check(&self) {
        let body = &self.response.body;
        let shown = || String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned();
        assert_eq!(self.response.status, 200, "{}", shown());
        assert!(self.work.is_answered_by(body), "a wrong answer: {}", shown());
        let messages = if self.response.is_stream {
            memmem::find_iter(body, b"data:").filter(|_| true).count()
        } else {
            1
        };
        assert!(messages >= self.work.messages(), "{messages} messages: {}", shown());
    }
}
