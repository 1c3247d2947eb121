//! An MCP server over standard input and output that answers with the very bytes it was sent.
//!
//! `raw_stdio legacy` speaks 2025-11-25, `raw_stdio modern` 2026-07-28. Its tools: `echo` answers with
//! the arguments, and with the text of all parameters; `fail` fails with the arguments as the error's
//! data; `die` ends the process; `hang` never answers.
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
}

fn main() {
    let is_modern = std::env::args().nth(1).as_deref() == Some("modern");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let Ok(request) = serde_json::from_str::<Request<'_>>(&line) else { continue };
        let Some(id) = request.id else { continue };
        if let Some(outcome) = answer(is_modern, &request) {
            let mut out = std::io::stdout().lock();
            writeln!(out, r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#).unwrap();
            out.flush().unwrap();
        }
    }
}

/// The `result` or the `error` member.
fn answer(is_modern: bool, request: &Request<'_>) -> Option<String> {
    let result = match (request.method.as_str(), is_modern) {
        ("server/discover", true) => {
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#.to_owned()
        }
        ("initialize", false) => {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}"#
                .to_owned()
        }
        ("tools/list", _) => {
            let tools = ["echo", "fail", "die", "hang"];
            let tool = |name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
            format!(r#"{{"tools":[{}]}}"#, tools.map(tool).join(","))
        }
        ("tools/call", _) => return call(request.params?),
        _ => return Some(r#""error":{"code":-32601,"message":"method not found"}"#.to_owned()),
    };
    Some(format!(r#""result":{result}"#))
}

fn call(params: &RawValue) -> Option<String> {
    let call: Call<'_> = serde_json::from_str(params.get()).unwrap();
    let arguments = call.arguments;
    match call.name.as_str() {
        "echo" => {
            let seen = serde_json::to_string(params.get()).unwrap();
            Some(format!(r#""result":{{"content":[],"echo":{arguments},"seen":{seen}}}"#))
        }
        "fail" => Some(format!(r#""error":{{"code":-31999,"message":"as asked","data":{arguments}}}"#)),
        "die" => std::process::abort(),
        _ => None,
    }
}
