//! What does an ordinary MCP server with one tool say?

use serde_json::{Value, json};

use crate::fault::Era;

/// One message of the gateway.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) id: Option<Value>,
    pub(super) method: String,
    params: Value,
}

/// What a call asks for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) delay_ms: u64,
}

impl Message {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut value: Value = serde_json::from_slice(&without_padding(text)).ok()?;
        Some(Self {
            id: value.get("id").cloned(),
            method: value["method"].as_str().unwrap_or_default().to_owned(),
            params: value["params"].take(),
        })
    }

    /// The call, if it is one.
    pub(super) fn call(&self) -> Option<Call> {
        let arguments = &self.params["arguments"];
        (self.method == "tools/call").then(|| Call {
            number: arguments["number"].as_u64().unwrap_or_default(),
            delay_ms: arguments["delay_ms"].as_u64().unwrap_or_default(),
        })
    }

    /// The answer; none to a notification. `endless` lists have a page after every page.
    pub(super) fn answer(&self, era: Era, endless: bool) -> Option<String> {
        let id = self.id.as_ref()?;
        let mut result = match (self.method.as_str(), era) {
            ("initialize", Era::Legacy) => json!({
                "protocolVersion": self.params["protocolVersion"],
                "capabilities": CAPABILITIES.parse::<Value>().unwrap(),
                "serverInfo": { "name": "peer", "version": "1" },
            }),
            ("server/discover", Era::Modern) => json!({
                "supportedVersions": ["2026-07-28"],
                "capabilities": CAPABILITIES.parse::<Value>().unwrap(),
            }),
            ("tools/list", _) => self.page(endless),
            ("tools/call", _) => self.echo(),
            ("ping", Era::Legacy) => json!({}),
            _ => {
                return Some(
                    json!({ "jsonrpc": "2.0", "id": id, "error": NO_METHOD.parse::<Value>().unwrap() })
                        .to_string(),
                );
            }
        };
        if era == Era::Modern {
            result["resultType"] = "complete".into();
        }
        Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
    }

    fn page(&self, endless: bool) -> Value {
        let mut page = json!({
            "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }],
            "ttlMs": 0,
            "cacheScope": "private",
        });
        if endless {
            let last: u64 =
                self.params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            page["nextCursor"] = (last + 1).to_string().into();
            page["tools"] = json!([]);
            if last == 0 {
                page["tools"] = json!([{ "name": "echo", "inputSchema": { "type": "object" } }]);
            }
        }
        page
    }

    fn echo(&self) -> Value {
        let arguments = &self.params["arguments"];
        let text = format!("{} {}", arguments["to"].as_str().unwrap_or_default(), arguments["number"]);
        json!({ "content": [{ "type": "text", "text": text }] })
    }

    /// What acknowledges a subscription, if this asks for one.
    pub(super) fn acknowledgement(&self) -> Option<String> {
        let id = self.id.as_ref().filter(|_| self.method == "subscriptions/listen")?;
        let params = json!({ "notifications": self.params["notifications"], "_meta": { SUBSCRIPTION: id } });
        Some(notification("notifications/subscriptions/acknowledged", &params))
    }

    /// That the tools may have changed, on the stream of this subscription.
    pub(super) fn changed(&self) -> String {
        notification(CHANGED, &json!({ "_meta": { SUBSCRIPTION: self.id } }))
    }
}

/// The message without the padding that makes it large: to read that is not what is measured.
fn without_padding(text: &[u8]) -> Vec<u8> {
    const PADDING: &[u8] = b"\"padding\":\"";
    let begins =
        (text.len() > 64 * 1024).then(|| text.windows(PADDING.len()).position(|part| part == PADDING));
    let Some(begin) = begins.flatten().map(|at| at + PADDING.len()) else { return text.to_vec() };
    let length = memchr::memchr(b'"', &text[begin..]).unwrap_or(0);
    [&text[..begin], &text[begin + length..]].concat()
}

/// That the tools may have changed.
pub(super) fn changed() -> String {
    notification(CHANGED, &json!({}))
}

fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

const CHANGED: &str = "notifications/tools/list_changed";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const CAPABILITIES: &str = r#"{"tools":{"listChanged":true}}"#;
const NO_METHOD: &str = r#"{"code":-32601,"message":"method not found"}"#;
