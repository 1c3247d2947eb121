//! Event-stream framing (WHATWG HTML, server-sent events): an incremental parser and a writer.

use std::ops::Range;

use bytes::{Buf as _, BufMut, BytesMut};

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// `event:`; empty means `message`.
    pub name: String,
    /// `data:` lines joined by line feeds.
    pub data: Vec<u8>,
    /// `id:`, if the event carried one.
    pub id: Option<String>,
    /// `retry:` in milliseconds.
    pub retry_ms: Option<u64>,
}

impl SseEvent {
    /// Whether the event carries a message at all; priming events have empty data.
    pub fn is_message(&self) -> bool {
        !self.data.is_empty() && (self.name.is_empty() || self.name == "message")
    }

    /// Takes a line; `false` if it means nothing.
    fn take_field(&mut self, line: &[u8]) -> bool {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return false,
            Some(colon) => {
                (&line[..colon], line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]))
            }
            None => (line, &line[..0]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.name = text(),
            b"id" if !value.contains(&0) => self.id = Some(text()),
            b"retry" => self.retry_ms = text().parse().ok().or(self.retry_ms),
            _ => return false,
        }
        true
    }
}

/// The stream holds an event larger than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct EventTooLong(pub usize);

/// What a line of data has in front of the data itself, at most.
const FIELD: usize = "data: ".len();

const LARGE: usize = 64 * 1024;

/// Cuts a byte stream into events, whatever the chunks are.
#[derive(Debug)]
pub struct SseParser {
    buffer: BytesMut,
    /// Where the line begins in `buffer` that has not ended.
    line: usize,
    /// Up to where that line is known not to end.
    scanned: usize,
    event: SseEvent,
    touched: bool,
    limit: usize,
    started: bool,
}

impl SseParser {
    /// A parser that refuses events over `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            line: 0,
            scanned: 0,
            event: SseEvent::default(),
            touched: false,
            limit,
            started: false,
        }
    }

    /// Adds what arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.advance(self.line);
        self.scanned -= self.line;
        self.line = 0;
        self.buffer.put_slice(chunk);
        if !self.started && self.buffer.len() >= 3 {
            self.started = true;
            if self.buffer.starts_with(b"\xef\xbb\xbf") {
                (self.line, self.scanned) = (3, 3);
            }
        }
    }

    /// Bytes that wait for the end of their event.
    pub fn buffered(&self) -> usize {
        self.unended() + self.event.data.len()
    }

    /// The next complete event.
    ///
    /// # Errors
    /// [`EventTooLong`] once an event exceeds the limit; the stream is of no use after that.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, EventTooLong> {
        while let Some(line) = self.take_line() {
            if line.is_empty() {
                if std::mem::take(&mut self.touched) {
                    return Ok(Some(std::mem::take(&mut self.event)));
                }
                continue;
            }
            let length = line.len();
            self.touched |= self.event.take_field(&self.buffer[line]);
            if length > self.limit + FIELD || self.event.data.len() > self.limit {
                return Err(EventTooLong(self.limit));
            }
        }
        // A line that has not ended is refused only if it would be refused whole: a CR may be its last byte.
        if self.unended() > self.limit + FIELD + 1 {
            return Err(EventTooLong(self.limit));
        }
        // Room for a large event is not kept for small ones.
        if self.unended() == 0 && self.line > LARGE {
            self.buffer = BytesMut::new();
            (self.line, self.scanned) = (0, 0);
        }
        Ok(None)
    }

    fn unended(&self) -> usize {
        self.buffer.len() - self.line
    }

    /// Takes one line without its end: LF, CR LF or CR. A CR at the very end of the buffer waits for
    /// the next chunk, because a LF may follow.
    fn take_line(&mut self) -> Option<Range<usize>> {
        let found = memchr::memchr2(b'\n', b'\r', self.buffer.get(self.scanned..)?);
        let Some(end) = found.map(|offset| self.scanned + offset) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let mut after = end + 1;
        if self.buffer[end] == b'\r' {
            match self.buffer.get(after) {
                Some(b'\n') => after += 1,
                Some(_) => {}
                None => {
                    self.scanned = end;
                    return None;
                }
            }
        }
        let line = self.line..end;
        (self.line, self.scanned) = (after, after);
        // A byte order mark stands before everything else, or is none.
        self.started = true;
        Some(line)
    }
}

/// Writes one event; `data` must not hold line ends, which JSON text written by us never does, so
/// relayed text is cut into `data:` lines where it has some.
pub fn write_event(out: &mut BytesMut, name: Option<&str>, id: Option<&str>, data: &[u8]) {
    if let Some(name) = name {
        out.put_slice(b"event: ");
        out.put_slice(name.as_bytes());
        out.put_u8(b'\n');
    }
    if let Some(id) = id {
        out.put_slice(b"id: ");
        out.put_slice(id.as_bytes());
        out.put_u8(b'\n');
    }
    // A JSON text has line ends only between tokens, where the joining line feed is white space too.
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
}

/// Writes an event that only says what it is called and when to be back if the connection breaks
/// (MCP 2025-11-25, basic/transports, sending messages to the server).
pub fn write_priming(out: &mut BytesMut, id: &str, retry_ms: u64) {
    out.put_slice(format!("id: {id}\nretry: {retry_ms}\ndata: \n\n").as_bytes());
}

/// Writes a comment: it keeps the connection alive and means nothing.
pub fn write_comment(out: &mut BytesMut) {
    out.put_slice(b":\n\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(parser: &mut SseParser) -> Vec<SseEvent> {
        std::iter::from_fn(|| parser.next_event().unwrap()).collect()
    }

    #[test]
    fn fields_comments_and_line_ends_are_read_as_the_standard_says() {
        let mut parser = SseParser::new(1000);
        parser.push(b"\xef\xbb\xbf: hello\r\nevent: endpoint\rdata:/m\n\nid: 7\nretry: 500\ndata\n\ndata: a\ndata:  b\nignored: x\n\n");
        let events = all(&mut parser);
        assert_eq!(events[0].name, "endpoint");
        assert_eq!(events[0].data, b"/m");
        assert_eq!((events[1].id.as_deref(), events[1].retry_ms), (Some("7"), Some(500)));
        assert!(!events[1].is_message());
        assert_eq!(events[2].data, b"a\n b");
        assert_eq!(events.len(), 3);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_very_beginning_however_it_arrives() {
        for (stream, expected) in [
            (&b"\xef\xbb\xbfx\ndata: a\ndata: b\n\n"[..], &b"a\nb"[..]),
            (b"\n\xef\xbb\xbfdata: a\ndata: b\n\n", b"b"),
        ] {
            let (mut parser, mut events) = (SseParser::new(1000), Vec::new());
            for byte in stream {
                parser.push(&[*byte]);
                events.extend(all(&mut parser));
            }
            assert_eq!(events[0].data, expected);
        }
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_limit() {
        let mut parser = SseParser::new(10);
        parser.push(b"data: 0123456789abcdef");
        assert_eq!(parser.next_event(), Err(EventTooLong(10)));
        let mut parser = SseParser::new(10);
        for _ in 0..3 {
            parser.push(b"data: 01234\n");
        }
        assert_eq!(parser.next_event(), Err(EventTooLong(10)));
    }

    #[test]
    fn what_is_just_within_the_limit_is_taken_and_a_byte_more_is_not_however_it_is_cut() {
        for (data, is_taken) in [("0123456789", true), ("0123456789a", false)] {
            let wire = format!("data: {data}\r\n\r\n");
            for size in 1..=wire.len() {
                let mut parser = SseParser::new(10);
                let mut pieces = wire.as_bytes().chunks(size).map(|piece| {
                    parser.push(piece);
                    parser.next_event()
                });
                let met = pieces.find(|met| *met != Ok(None)).unwrap();
                assert_eq!(met.is_ok(), is_taken, "{data} in pieces of {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(
            payloads in prop::collection::vec("[ -~é]{0,30}", 1..5),
            cuts in prop::collection::vec(1usize..9, 1..40),
        ) {
            let mut wire = BytesMut::new();
            for (n, payload) in payloads.iter().enumerate() {
                write_event(&mut wire, Some("message"), Some(&n.to_string()), payload.as_bytes());
                write_comment(&mut wire);
            }
            let mut parser = SseParser::new(1000);
            let mut seen = Vec::new();
            let mut cuts = cuts.iter().cycle();
            while !wire.is_empty() {
                let cut = (*cuts.next().unwrap()).min(wire.len());
                parser.push(&wire.split_to(cut));
                seen.extend(all(&mut parser));
            }
            let data: Vec<_> = seen.iter().map(|e| String::from_utf8(e.data.clone()).unwrap()).collect();
            prop_assert_eq!(data, payloads);
        }
    }
}
