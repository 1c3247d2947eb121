//! An MCP server over standard input and output that answers with the very bytes it was sent.
//!
//! `raw_stdio legacy` speaks 2025-11-25, `raw_stdio modern` 2026-07-28, `raw_stdio silent` the former without an answer to
//! a method that it does not know. Its tools: `echo` answers with
//! the arguments, and with the text of all parameters; `noise` does so twice among other lines; `swap` answers each second call first, progress
//! before the answer; `fail` fails with the arguments as the error's data; `hang` never answers;
//! `cancelled` tells which requests hang and which of them were cancelled; `pid` tells who answers; `note`
//! notes its arguments and tells everything noted so far, levels and changes of roots too; `error` fails with the
//! arguments as its error. A second argument says how ids are spelt: `"{}"` as strings, `{}.0` with a fraction.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, Write as _};

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Cancelled<'a> {
    #[serde(borrow, rename = "requestId")]
    request_id: &'a RawValue,
}

#[derive(Default)]
struct Server {
    is_modern: bool,
    is_silent: bool,
    /// How it spells ids and progress tokens.
    spelling: Option<String>,
    /// The messages of a call that waits for the next to be answered first.
    held: Option<String>,
    hanging: Vec<String>,
    cancelled: Vec<String>,
    noted: Vec<String>,
}

fn main() {
    let era = std::env::args().nth(1).unwrap_or_default();
    let (is_modern, is_silent) = (era == "modern", era == "silent");
    let spelling = std::env::args().nth(2);
    let mut server = Server { is_modern, is_silent, spelling, ..Server::default() };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let Ok(request) = serde_json::from_str::<Request<'_>>(&line) else { continue };
        let answers = server.take(&request);
        let mut out = std::io::stdout().lock();
        out.write_all(answers.unwrap_or_default().as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

impl Server {
    /// The lines to answer with.
    fn take(&mut self, request: &Request<'_>) -> Option<String> {
        let Some(id) = request.id else {
            if request.method == "notifications/cancelled" {
                let cancelled: Cancelled<'_> = serde_json::from_str(request.params?.get()).unwrap();
                self.cancelled.push(cancelled.request_id.get().to_owned());
            }
            if request.method == "notifications/roots/list_changed" {
                self.noted.push(r#""roots""#.to_owned());
            }
            return None;
        };
        let outcome = match (request.method.as_str(), self.is_modern) {
            ("server/discover", true) => format!(
                r#""result":{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{CAPABILITIES}}}"#
            ),
            ("initialize", false) => format!(
                r#""result":{{"protocolVersion":"2025-11-25","capabilities":{CAPABILITIES},"serverInfo":{{"name":"raw","version":"1"}}}}"#
            ),
            ("tools/list", _) => format!(r#""result":{{"tools":[{}]}}"#, TOOLS.map(tool).join(",")),
            ("logging/setLevel", false) => {
                self.noted.push(request.params?.get().to_owned());
                r#""result":{}"#.to_owned()
            }
            ("tools/call", _) => return self.call(id, request.params?),
            _ if self.is_silent => return None,
            _ => r#""error":{"code":-32601,"message":"method not found"}"#.to_owned(),
        };
        Some(message(&self.spelt(id), &outcome))
    }

    fn spelt(&self, number: &RawValue) -> String {
        let number = number.get();
        self.spelling.as_ref().map_or_else(|| number.to_owned(), |spelling| spelling.replace("{}", number))
    }

    /// A progress notification whose message is the arguments; nothing, if none is wanted.
    fn progress(&self, call: &Call<'_>) -> String {
        let Some(token) = call.meta.as_ref().and_then(|meta| meta.progress_token) else {
            return String::new();
        };
        let (token, message) = (self.spelt(token), serde_json::to_string(call.arguments.get()).unwrap());
        let params = format!(r#"{{"progressToken":{token},"progress":1,"message":{message}}}"#);
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}\n")
    }

    fn call(&mut self, id: &RawValue, params: &RawValue) -> Option<String> {
        let call: Call<'_> = serde_json::from_str(params.get()).unwrap();
        let (spelt, arguments) = (self.spelt(id), call.arguments);
        let id = spelt.as_str();
        let echo = || {
            let seen = serde_json::to_string(params.get()).unwrap();
            message(id, &format!(r#""result":{{"content":[],"echo":{arguments},"seen":{seen}}}"#))
        };
        match call.name.as_str() {
            "echo" => Some(echo()),
            "noise" => Some(format!("no message\n[1,2]\n\n{0}{{}}\n{0}", echo())),
            "swap" => {
                let own = self.progress(&call) + &echo();
                let first = self.held.take().map(|held| own.clone() + &held);
                self.held = first.is_none().then_some(own);
                first
            }
            "fail" => Some(message(
                id,
                &format!(r#""error":{{"code":-31999,"message":"as asked","data":{arguments}}}"#),
            )),
            "error" => Some(message(id, &format!(r#""error":{arguments}"#))),
            "cancelled" => {
                let (hanging, cancelled) = (self.hanging.join(","), self.cancelled.join(","));
                Some(message(
                    id,
                    &format!(r#""result":{{"content":[],"hanging":[{hanging}],"cancelled":[{cancelled}]}}"#),
                ))
            }
            "note" => {
                self.noted.push(arguments.get().to_owned());
                let noted = self.noted.join(",");
                Some(message(id, &format!(r#""result":{{"content":[],"noted":[{noted}]}}"#)))
            }
            "pid" => {
                let pid = std::process::id();
                Some(message(id, &format!(r#""result":{{"content":[],"pid":{pid}}}"#)))
            }
            _ => {
                self.hanging.push(id.to_owned());
                None
            }
        }
    }
}

const CAPABILITIES: &str = r#"{"tools":{},"logging":{}}"#;
const TOOLS: [&str; 9] = ["echo", "noise", "swap", "fail", "error", "hang", "cancelled", "note", "pid"];

fn tool(name: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)
}

fn message(id: &str, outcome: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{outcome}}}\n")
}
