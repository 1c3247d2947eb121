//! Calls that wait for a person's answer: whom do they keep from a backend?

use tokio::sync::mpsc;

use super::guarded;
use crate::support::{Answer, Client, RawBackend, Speaks, eventually};

const TOOLS: &str =
    r#"[{"name":"ask","inputSchema":{"type":"object"}},{"name":"echo","inputSchema":{"type":"object"}}]"#;
const ABLE: &str = r#"{"elicitation":{}}"#;

/// A legacy backend whose tool `ask` asks its client and waits, and whose `echo` answers at once.
async fn asking() -> RawBackend {
    RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let message = &asked.message;
        if message.method != "tools/call" {
            return None;
        }
        if message.param("name").as_deref() == Some("\"echo\"") {
            return Some(Answer::Result(r#"{"content":[]}"#.to_owned()));
        }
        let (events, stream) = mpsc::channel(4);
        let ask = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
        events.try_send(ask.to_owned()).unwrap();
        tokio::spawn(async move {
            // The stream stays open until the gateway ends it.
            events.closed().await;
        });
        Some(Answer::Events(stream))
    })
    .await
}

/// Has the backend ask, and says what the client is to come back with.
async fn ask(client: &Client) -> String {
    let asked = client.call("raw__ask", "{}").await;
    asked.result_of("requestState").unwrap_or_else(|| panic!("{asked:?}"))
}

#[tokio::test]
async fn unanswered_questions_of_one_keep_nobody_from_the_backend() {
    let backend = asking().await;
    for mode in ["shared", "per_principal", "per_session"] {
        let settings = format!("connections: {{ mode: {mode}, max: 2 }}, concurrency: {{ queue_wait: 5s }}");
        let (yard, ann, bob) = guarded(&backend.entry_with("raw", &settings)).await;
        let anns = Client::modern(&yard.url).with_token(&ann).able(ABLE);
        let bobs = Client::modern(&yard.url).with_token(&bob).able(ABLE);
        let questions = if mode == "shared" { 8 } else { 1 };
        for _ in 0..questions {
            ask(&anns).await;
        }
        for _ in 0..3 {
            let echoed = bobs.call("raw__echo", "{}").await.result_value();
            assert!(echoed["isError"].is_null(), "{mode}: {echoed}");
        }
        let open = yard.backend("raw").snapshot.connections.open;
        assert!(open <= 4, "{mode}: {open} connections");
    }
}

#[tokio::test]
async fn whoever_asks_most_gives_way_and_the_question_of_another_stays() {
    let backend = asking().await;
    let settings = "connections: { max: 2 }, concurrency: { queue_wait: 5s }";
    let (yard, ann, bob) = guarded(&backend.entry_with("raw", settings)).await;
    let anns = Client::modern(&yard.url).with_token(&ann).able(ABLE);
    let bobs = Client::modern(&yard.url).with_token(&bob).able(ABLE);
    let bobs_state = ask(&bobs).await;
    let mut states = Vec::new();
    for _ in 0..6 {
        states.push(ask(&anns).await);
    }
    let come_back = async |client: &Client, state: &str| {
        client
            .ask("tools/call", &format!(r#""name":"raw__ask","arguments":{{}},"requestState":{state}"#))
            .await
    };
    eventually("ann's first call to be over", async || {
        come_back(&anns, &states[0]).await.error.filter(|error| error.contains("is gone"))
    })
    .await;
    let again = come_back(&bobs, &bobs_state).await;
    assert!(again.result_of("inputRequests").is_some(), "bob may still answer: {again:?}");
}
