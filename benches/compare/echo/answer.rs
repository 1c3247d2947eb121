//! What is the answer to one message?

use serde::Deserialize;
use serde_json::value::RawValue;

const MODERN: &str = r#""resultType":"complete","#;
/// What a stateless result must say when it may be kept.
const CACHING: &str = r#""ttlMs":60000,"cacheScope":"public","#;

pub(crate) struct Server {
    tools: String,
    is_legacy: bool,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<&'a str>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    events: Option<usize>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
}

/// What is sent back.
pub(crate) enum Answer {
    /// Nothing: the message wants no answer.
    None,
    /// One message.
    One(String),
    /// One message, and with it a session begins.
    Opened(String),
    /// Progress, then the answer.
    Many(Vec<String>),
}

impl Server {
    pub(crate) fn new(tools: usize, is_legacy: bool) -> Self {
        let more = (1..=tools).map(|n| tool(&format!("tool_{n}")));
        let tools: Vec<_> = [tool("echo"), tool("stream")].into_iter().chain(more).collect();
        Self { tools: format!("[{}]", tools.join(",")), is_legacy }
    }

    pub(crate) fn answer(&self, text: &[u8]) -> Answer {
        let request: Request<'_> = serde_json::from_slice(text).expect("an MCP request");
        let Some(id) = request.id.map(RawValue::get) else { return Answer::None };
        let meta = request.params.as_ref().and_then(|params| params.meta.as_ref());
        let is_modern =
            request.method == "server/discover" || meta.is_some_and(|meta| meta.version.is_some());
        if is_modern && self.is_legacy {
            return Answer::One(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"method not found"}}}}"#
            ));
        }
        let (kind, caching) = if is_modern { (MODERN, CACHING) } else { ("", "") };
        let result = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{kind}{members}}}}}"#);
        match request.method {
            "tools/call" => call(request.params.expect("parameters"), result),
            "tools/list" => Answer::One(result(&format!(r#"{caching}"tools":{}"#, self.tools))),
            "initialize" => Answer::Opened(result(
                r#""protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}"#,
            )),
            "server/discover" => Answer::One(result(&format!(
                r#"{caching}"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}},"_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"echo","version":"1"}}}}"#
            ))),
            "ping" => Answer::One(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)),
            _ => Answer::One(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"method not found"}}}}"#
            )),
        }
    }
}

fn call(params: Params<'_>, result: impl Fn(&str) -> String) -> Answer {
    let arguments = params.arguments.expect("arguments");
    let text = |text: &str| result(&format!(r#""content":[{{"type":"text","text":{text}}}]"#));
    let answer = text(arguments.text.map_or("\"\"", RawValue::get));
    if params.name != Some("stream") {
        return Answer::One(answer);
    }
    let Some(token) = params.meta.and_then(|meta| meta.progress_token) else { return Answer::One(answer) };
    let progress = |n: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{n}}}}}"#
        )
    };
    let events = (1..=arguments.events.unwrap_or(100)).map(progress);
    Answer::Many(events.chain([answer]).collect())
}

fn tool(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","title":"The tool {name}","description":"Answers with its argument, byte for byte; {name} is here to be listed and called.","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string","description":"What to answer with"}},"events":{{"type":"integer","description":"Progress notifications before the answer"}}}}}}}}"#
    )
}
