//! What is asked, and what must the answer be?

use clap::ValueEnum;
use memchr::memmem;

use super::Arguments;

/// The ids of requests have so many digits, so that a request differs from the one before in place.
const DIGITS: usize = 12;
const MODERN: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}"#;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// `tools/call`
    Call,
    /// `tools/call` with a hundred progress notifications before the answer
    Stream,
    /// `tools/list`, its first page
    List,
    /// `initialize`
    Initialize,
    /// GET of a file, for a static server
    File,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Era {
    Modern,
    Legacy,
}

/// One request that is sent again and again, its id and its argument new each time.
pub(crate) struct Work {
    kind: Kind,
    tool: String,
    pub(crate) is_modern: bool,
    body: Vec<u8>,
    /// Where the id stands, and where the argument's first characters do.
    id_at: usize,
    text: Option<std::ops::Range<usize>>,
    expect_tools: usize,
    next: u64,
}

impl Work {
    /// `number` keeps the ids of several connections apart.
    pub(crate) fn new(arguments: &Arguments, number: usize) -> Self {
        let is_modern = arguments.era == Era::Modern && arguments.work != Kind::Initialize;
        let body = body(arguments, is_modern);
        let id_at = memmem::find(&body, b"\"id\":").map_or(0, |at| at + 5);
        let text = memmem::find(&body, b"\"text\":\"").map(|at| at + 8..at + 8 + arguments.bytes.max(DIGITS));
        let next = 100_000_000_000 + number as u64 * 100_000_000;
        let (kind, tool) = (arguments.work, arguments.tool.clone());
        Self { kind, tool, is_modern, body, id_at, text, expect_tools: arguments.expect_tools, next }
    }

    /// The next request's body.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.next += 1;
        let digits = self.next.to_string();
        if !self.body.is_empty() {
            self.body[self.id_at..self.id_at + DIGITS].copy_from_slice(digits.as_bytes());
        }
        if let Some(text) = &self.text {
            self.body[text.start..text.start + DIGITS].copy_from_slice(digits.as_bytes());
        }
        &self.body
    }

    /// Whether `answer` is the answer to the last request: its id, and every byte that had to come back.
    pub(crate) fn is_answered_by(&self, answer: &[u8]) -> bool {
        let has = |needle: &[u8]| memmem::find(answer, needle).is_some();
        let id = [b"\"id\":", &self.body[self.id_at..][..DIGITS.min(self.body.len())]].concat();
        if self.kind != Kind::File && !(has(&id) && has(b"\"result\":{") && !has(b"\"isError\":true")) {
            return false;
        }
        match self.kind {
            Kind::Call | Kind::Stream => self.text.as_ref().is_some_and(|text| has(&self.body[text.clone()])),
            Kind::List | Kind::File => {
                memmem::find_iter(answer, b"\"inputSchema\":").count() >= self.expect_tools
            }
            Kind::Initialize => has(b"\"protocolVersion\":"),
        }
    }

    /// The number of messages an answer must consist of.
    pub(crate) fn messages(&self) -> usize {
        if self.kind == Kind::Stream { 101 } else { 1 }
    }

    pub(crate) fn is_get(&self) -> bool {
        self.kind == Kind::File
    }

    /// The headers that repeat the body.
    pub(crate) fn headers(&self) -> String {
        if !self.is_modern {
            return String::new();
        }
        let name = match self.kind {
            Kind::Call | Kind::Stream => format!("Mcp-Name: {}\r\n", self.tool),
            Kind::List | Kind::Initialize | Kind::File => String::new(),
        };
        format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {}\r\n{name}", method(self.kind))
    }
}

fn method(kind: Kind) -> &'static str {
    match kind {
        Kind::Call | Kind::Stream => "tools/call",
        Kind::List => "tools/list",
        Kind::Initialize => "initialize",
        Kind::File => "",
    }
}

fn body(arguments: &Arguments, is_modern: bool) -> Vec<u8> {
    let tool = &arguments.tool;
    let (meta, only_meta) = if is_modern { (format!(",{MODERN}"), MODERN) } else { (String::new(), "") };
    let params = match arguments.work {
        Kind::Call => {
            let text = text(arguments.bytes);
            let meta = if is_modern { format!(r#","_meta":{{{MODERN}}}"#) } else { String::new() };
            format!(r#"{{"name":"{tool}","arguments":{{"text":"{text}"}}{meta}}}"#)
        }
        Kind::Stream => {
            let text = text(arguments.bytes);
            format!(
                r#"{{"name":"{tool}","arguments":{{"events":100,"text":"{text}"}},"_meta":{{"progressToken":"t"{meta}}}}}"#
            )
        }
        Kind::List => format!(r#"{{"_meta":{{{only_meta}}}}}"#),
        Kind::Initialize => initialize_params().to_owned(),
        Kind::File => return Vec::new(),
    };
    let id = "0".repeat(DIGITS);
    let method = method(arguments.work);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into_bytes()
}

/// What opens a session.
pub(crate) fn initialize_params() -> &'static str {
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}"#
}

/// Prose with line breaks, as JSON spells it; its first characters make way for a number.
fn text(bytes: usize) -> String {
    const LINE: &str = "The quick brown fox jumps over the lazy dog, and the dog, being lazy, lets it.\\n";
    let mut text: String = LINE.chars().cycle().take(bytes.max(DIGITS)).collect();
    // No half of an escape at the end.
    if text.ends_with('\\') {
        text.replace_range(text.len() - 1.., ".");
    }
    text
}
