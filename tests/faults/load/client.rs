//! One client of the gateway, and what it makes of an answer.

use std::time::Duration;

use parking_lot::Mutex;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::fault::Era;

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";
/// Beyond every deadline of the gateway: a call without an answer by then is lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// Oddities that are kept to be looked at.
const ODDITIES: usize = 10;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The backend's answer to this very call.
    Ok,
    /// Refused before it was sent, with the time after which to try again.
    Refused { retry_after_ms: Option<u64> },
    /// An answer that says that and how it failed.
    Failed,
    /// The answer to another call.
    Crossed,
    /// More than one answer.
    Twice,
    /// No answer.
    Lost,
}

/// A connection that has been idle for so long is not used again. The gateway closes one after `limits.header_timeout`
/// (10 s), and a request that is sent as it does reaches nobody: no client can tell that from a lost answer.
const IDLE: Duration = Duration::from_secs(5);

/// One client, over connections of its own.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    era: Era,
    session: Option<String>,
    odd: Mutex<Vec<String>>,
}

impl Client {
    /// A client of either era; a legacy one with a session.
    pub(crate) async fn connect(url: &str, era: Era) -> Self {
        Self::connect_for(url, era, IDLE).await
    }

    /// The same, whose connections are not used again after they were idle for `idle`; never, if that is nothing.
    pub(crate) async fn connect_for(url: &str, era: Era, idle: Duration) -> Self {
        let mut http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).pool_idle_timeout(idle);
        if idle.is_zero() {
            http = http.pool_max_idle_per_host(0);
        }
        let http = http.build().unwrap();
        let mut client = Self { http, url: url.to_owned(), era, session: None, odd: Mutex::default() };
        if era == Era::Legacy {
            client.session = Some(client.initialize().await);
        }
        client
    }

    /// Opens a session.
    pub(crate) async fn initialize(&self) -> String {
        let params = json!({
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": { "name": "faults", "version": "1" },
        });
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let response = self.post().body(message.to_string()).send().await.unwrap();
        let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let told = self.post().header("mcp-session-id", &session).body(initialized.to_string());
        told.send().await.unwrap();
        session
    }

    /// Ends a session.
    pub(crate) async fn end(&self, session: &str) {
        self.http.delete(&self.url).header("mcp-session-id", session).send().await.unwrap();
    }

    /// The bytes of one call, for a connection that the caller holds.
    pub(crate) fn bytes_of_call(&self, backend: &str, number: u64, delay_ms: u64) -> Vec<u8> {
        let request = self.request(backend, number, json!({ "delay_ms": delay_ms })).build().unwrap();
        let mut bytes = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n".to_vec();
        for (name, value) in request.headers() {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(body);
        bytes
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The bytes of `count` requests for the list of tools, one after the other on one connection.
    pub(crate) fn many_lists(&self, count: usize) -> Vec<u8> {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let session = self.session.as_deref().unwrap_or_default();
        let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        let accept = "Accept: application/json, text/event-stream\r\n";
        let length = body.len();
        format!("{head}{accept}Mcp-Session-Id: {session}\r\nContent-Length: {length}\r\n\r\n{body}")
            .repeat(count)
            .into_bytes()
    }

    fn post(&self) -> RequestBuilder {
        let request = self.http.post(&self.url).header("content-type", "application/json");
        request.header("accept", "application/json, text/event-stream")
    }

    /// Calls the `echo` of one backend, which answers after `delay_ms`.
    pub(crate) async fn call(&self, backend: &str, number: u64, delay_ms: u64) -> Verdict {
        self.send(self.request(backend, number, json!({ "delay_ms": delay_ms })), backend, number).await
    }

    /// The same with an argument of `bytes` characters.
    pub(crate) async fn call_large(&self, backend: &str, number: u64, bytes: usize) -> Verdict {
        let request = self.request(backend, number, json!({ "padding": "@" }));
        let small = request.try_clone().and_then(|request| request.build().ok());
        let body = small.as_ref().and_then(|request| request.body()?.as_bytes()).unwrap_or_default();
        let large = String::from_utf8_lossy(body).replacen('@', &"a".repeat(bytes), 1);
        self.send(request.body(large), backend, number).await
    }

    async fn send(&self, request: RequestBuilder, backend: &str, number: u64) -> Verdict {
        match request.send().await {
            Ok(response) => match response.text().await {
                Ok(text) => self.judge(&text, backend, number),
                Err(error) => self.lost(format!("{error:?}")),
            },
            Err(error) => self.lost(format!("{error:?}")),
        }
    }

    fn request(&self, backend: &str, number: u64, mut arguments: Value) -> RequestBuilder {
        let tool = format!("{backend}__echo");
        arguments["to"] = backend.into();
        arguments["number"] = number.into();
        let mut params = json!({ "name": tool, "arguments": arguments });
        let mut request = self.post();
        match (&self.session, self.era) {
            (Some(session), _) => {
                request = request.header("mcp-session-id", session).header("mcp-protocol-version", LEGACY);
            }
            (None, _) => {
                request = request.header("mcp-protocol-version", MODERN);
                request = request.header("mcp-method", "tools/call").header("mcp-name", tool);
                params["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": MODERN,
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
            }
        }
        let message = json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params });
        request.body(message.to_string())
    }

    fn lost(&self, why: String) -> Verdict {
        self.note(why);
        Verdict::Lost
    }

    /// The first oddities, to be looked at.
    pub(crate) fn odd(&self) -> Vec<String> {
        self.odd.lock().clone()
    }

    fn note(&self, what: String) {
        let mut odd = self.odd.lock();
        if odd.len() < ODDITIES {
            odd.push(what);
        }
    }

    fn judge(&self, text: &str, backend: &str, number: u64) -> Verdict {
        let messages = messages(text);
        let mut answers = messages.iter().filter(|message| message.get("method").is_none());
        let (Some(answer), second) = (answers.next(), answers.next()) else {
            return self.lost(format!("no answer to {number}: {text}"));
        };
        let verdict = if second.is_some() { Verdict::Twice } else { verdict(answer, backend, number) };
        if matches!(verdict, Verdict::Twice | Verdict::Crossed | Verdict::Lost) {
            self.note(format!("{verdict:?}, asked {backend} {number}: {text}"));
        }
        verdict
    }
}

fn verdict(answer: &Value, backend: &str, number: u64) -> Verdict {
    if answer["id"].as_u64() != Some(number) {
        // A body that was refused before its id was read is an answer to this POST all the same.
        return if answer["id"].is_null() && answer["error"].is_object() {
            Verdict::Failed
        } else {
            Verdict::Crossed
        };
    }
    let result = &answer["result"];
    let failure = &result["_meta"]["switchyard/error"];
    match failure["error"].as_str() {
        Some("circuit_open" | "backend_unavailable" | "backend_busy") => {
            Verdict::Refused { retry_after_ms: failure["retry_after_ms"].as_u64() }
        }
        Some(_) => Verdict::Failed,
        None if answer["error"].is_object() => Verdict::Failed,
        None if result["content"][0]["text"] == format!("{backend} {number}") => Verdict::Ok,
        None => Verdict::Crossed,
    }
}

/// The messages of a response, whether JSON or an event stream.
fn messages(text: &str) -> Vec<Value> {
    if let Ok(message) = serde_json::from_str(text) {
        return vec![message];
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
}
