//! Can a client of the oldest revision, which has one stream for all answers, use the gateway?

use crate::support::client::Events;
use crate::support::message::result;
use crate::support::{Answer, Message, RawBackend, Speaks, Yard, demo, eventually, within};

/// An HTTP+SSE client: what it posts is answered on the stream.
struct Pair {
    http: reqwest::Client,
    messages: String,
    events: Events,
}

impl Pair {
    async fn open(yard: &Yard) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = format!("http://{}", yard.authority());
        let stream = http.get(format!("{base}/sse")).header("accept", "text/event-stream");
        let mut events = Events::of(within("the stream", stream.send()).await.unwrap());
        let (name, path) = events.next_named().await.unwrap();
        assert_eq!(name, "endpoint");
        Self { http, messages: format!("{base}{path}"), events }
    }

    async fn post(&self, text: &str) {
        let post =
            self.http.post(&self.messages).header("content-type", "application/json").body(text.to_owned());
        let taken = within("a message to be taken", post.send()).await.unwrap();
        assert_eq!(taken.status(), 202);
    }

    async fn ask(&mut self, id: u32, method: &str, params: &str) -> Message {
        self.post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)).await;
        let answer = self.events.next().await.unwrap();
        assert_eq!(answer.id, Some(id.to_string()));
        answer
    }

    async fn initialize(&mut self, version: &str, capabilities: &str) {
        let client = r#""clientInfo":{"name":"old","version":"1"}"#;
        let params = format!(r#"{{"protocolVersion":"{version}","capabilities":{capabilities},{client}}}"#);
        let agreed = self.ask(1, "initialize", &params).await.result_value();
        assert_eq!(agreed["protocolVersion"], version);
        self.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    }
}

#[tokio::test]
async fn a_client_of_the_oldest_revision_lists_and_calls_every_demo_backend() {
    let yard = Yard::start(&demo::backends()).await;
    let mut pair = Pair::open(&yard).await;
    pair.initialize("2024-11-05", "{}").await;
    let listed = pair.ask(2, "tools/list", "{}").await.result_value();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 15);
    let calls = [
        r#"{"name":"crm__get_customer","arguments":{"id":1}}"#,
        r#"{"name":"api__check_stock","arguments":{"sku":"TEA-100"}}"#,
        r#"{"name":"search__search_docs","arguments":{"query":"breaker"}}"#,
    ];
    for (id, params) in (3..).zip(calls) {
        let result = pair.ask(id, "tools/call", params).await.result_value();
        assert!(result["structuredContent"].is_object(), "{params}: {result}");
    }
}

#[tokio::test]
async fn a_modern_backends_wish_for_input_is_a_question_on_the_stream() {
    let tools = r#"[{"name":"book","inputSchema":{"type":"object"}}]"#;
    let backend = RawBackend::start(Speaks::Modern, tools, |asked| {
        let wish = r#"{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"}},"requestState":"s"}"#;
        (asked.message.method == "tools/call").then(|| match asked.message.param("inputResponses") {
            None => Answer::Result(wish.to_owned()),
            Some(given) => Answer::Result(format!(r#"{{"content":[],"given":{given}}}"#)),
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let mut pair = Pair::open(&yard).await;
    pair.initialize("2024-11-05", r#"{"roots":{}}"#).await;
    pair.post(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"raw__book"}}"#).await;
    let asked = pair.events.next().await.unwrap();
    assert_eq!(asked.method, "roots/list");
    let roots = r#"{"roots":[{"uri":"file:///a","x":1.0}]}"#;
    pair.post(&result(&asked.id.unwrap(), roots)).await;
    let answer = pair.events.next().await.unwrap();
    assert_eq!(answer.result_of("given"), Some(format!(r#"{{"k":{roots}}}"#)));
}

#[tokio::test]
async fn nothing_can_be_posted_to_a_pair_that_is_closed() {
    let yard = Yard::of("  {}\n").await;
    let pair = Pair::open(&yard).await;
    let Pair { http, messages, events } = pair;
    drop(events);
    eventually("a refusal", async || {
        let post = http.post(&messages).header("content-type", "application/json");
        let answered =
            post.body(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send().await.unwrap();
        (answered.status() == 404).then_some(())
    })
    .await;
}
