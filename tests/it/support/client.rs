//! A client that sends exactly what a test tells it to, over Streamable HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use reqwest::{RequestBuilder, Response};

use super::message::{Message, member};
use super::within;

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const LEGACY: &str = "2025-11-25";

/// One client; the requests of a legacy one belong to its session.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    version: &'static str,
    session: Option<String>,
    /// What it can be asked, as the text of an object.
    capabilities: &'static str,
    next_id: AtomicU64,
}

impl Client {
    pub(crate) fn modern(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            http,
            url: url.to_owned(),
            token: None,
            version: MODERN,
            session: None,
            capabilities: "{}",
            next_id: AtomicU64::new(1),
        }
    }

    /// Opens a session of the newest revision that has them.
    pub(crate) async fn legacy(url: &str) -> Self {
        Self::modern(url).open(LEGACY).await
    }

    /// The same client, with a connection of its own for each request.
    pub(crate) fn unpooled(mut self) -> Self {
        self.http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        self
    }

    /// The same client, and the same session, at another address.
    pub(crate) fn moved_to(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The same client, with capabilities.
    pub(crate) fn able(mut self, capabilities: &'static str) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Opens a session of some revision.
    pub(crate) async fn open(mut self, version: &'static str) -> Self {
        self.version = version;
        let params = format!(
            r#"{{"protocolVersion":"{version}","capabilities":{},"clientInfo":{{"name":"test","version":"0"}}}}"#,
            self.capabilities
        );
        let body = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#);
        let opened = within("initialize", self.post().body(body).send()).await.unwrap();
        assert_eq!(opened.status(), StatusCode::OK);
        self.session = Some(opened.headers()["mcp-session-id"].to_str().unwrap().to_owned());
        self.tell(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned()).await;
        self
    }

    /// Sends what has no answer: a notification, or the answer to a question.
    pub(crate) async fn tell(&self, text: String) {
        let taken = within("a message to be taken", self.post().body(text).send()).await.unwrap();
        assert_eq!(taken.status(), StatusCode::ACCEPTED);
    }

    pub(crate) fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    fn is_modern(&self) -> bool {
        self.version == MODERN
    }

    /// A POST with what every request of this client has.
    pub(crate) fn post(&self) -> RequestBuilder {
        self.verb(http::Method::POST)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
    }

    /// Any method, in this client's session.
    pub(crate) fn verb(&self, verb: http::Method) -> RequestBuilder {
        let mut request = self.http.request(verb, &self.url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session).header("mcp-protocol-version", self.version);
        }
        request
    }

    /// A request; `members` is the inside of its parameters, `meta` the inside of their `_meta`.
    pub(crate) fn request(&self, id: &str, method: &str, members: &str, meta: &str) -> RequestBuilder {
        let own = format!(
            r#""io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{}"#,
            self.capabilities
        );
        let metas: Vec<&str> = [meta, if self.is_modern() { &own } else { "" }]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let meta =
            if metas.is_empty() { String::new() } else { format!(r#""_meta":{{{}}}"#, metas.join(",")) };
        let parts: Vec<&str> = [members, &meta].into_iter().filter(|part| !part.is_empty()).collect();
        let params = format!("{{{}}}", parts.join(","));
        let mut request = self.post();
        if self.is_modern() {
            request = request.header("mcp-protocol-version", MODERN).header("mcp-method", method);
            if let Some(name) = mirrored(method, &params) {
                request = request.header("mcp-name", name);
            }
        }
        request.body(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&self, method: &str, members: &str) -> Message {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let exchange = self.exchange(self.request(&id, method, members, "")).await;
        let answer = exchange.last().cloned().unwrap_or_else(|| panic!("no answer to {method}"));
        assert_eq!(answer.id.as_deref(), Some(id.as_str()));
        answer
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: &str) -> Message {
        self.ask("tools/call", &format!(r#""name":"{tool}","arguments":{arguments}"#)).await
    }

    /// The names in `tools/list`.
    pub(crate) async fn tools(&self) -> Vec<String> {
        let listed = self.ask("tools/list", "").await.result_value();
        let name = |tool: &serde_json::Value| tool["name"].as_str().unwrap().to_owned();
        listed["tools"].as_array().unwrap().iter().map(name).collect()
    }

    /// Sends a request and reads every message of its response.
    pub(crate) async fn exchange(&self, request: RequestBuilder) -> Vec<Message> {
        let response = within("a response", request.send()).await.unwrap();
        let mut events = Events::of(response);
        let mut all = Vec::new();
        while let Some(message) = events.next().await {
            all.push(message);
        }
        all
    }
}

fn mirrored(method: &str, params: &str) -> Option<String> {
    let key = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    serde_json::from_str(&member(params, key)?).ok()
}

/// The messages of a response, whether JSON or an event stream, as they come.
pub(crate) struct Events {
    response: Response,
    is_stream: bool,
    text: Vec<u8>,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        let is_stream =
            response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
        Self { response, is_stream, text: Vec::new() }
    }

    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.cut() {
                return Some(message);
            }
            match within("the next event", self.response.chunk()).await.ok().flatten() {
                Some(chunk) => self.text.extend_from_slice(&chunk),
                None if self.is_stream => return None,
                None => return Message::parse(&std::mem::take(&mut self.text)),
            }
        }
    }

    /// The name and the data of the next event, whatever it holds.
    pub(crate) async fn next_named(&mut self) -> Option<(String, String)> {
        let event = self.next_event().await?;
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        Some((field("event: ").to_owned(), field("data: ").to_owned()))
    }

    /// The text of the next event, or of the next comment.
    pub(crate) async fn next_event(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.cut_event() {
                return Some(event);
            }
            let chunk = within("the next event", self.response.chunk()).await.ok().flatten()?;
            self.text.extend_from_slice(&chunk);
        }
    }

    fn cut(&mut self) -> Option<Message> {
        while self.is_stream {
            let event = self.cut_event()?;
            let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            if let Some(message) = Message::parse(data.join("\n").as_bytes()) {
                return Some(Message { is_event: true, ..message });
            }
        }
        None
    }

    fn cut_event(&mut self) -> Option<String> {
        let end = self.text.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = self.text.drain(..end + 2).collect();
        Some(String::from_utf8(event).unwrap())
    }
}
