//! A backend that fails again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

/// A backend whose calls are answered with a failed status for as long as the switch says so.
async fn ailing() -> (RawBackend, Arc<AtomicBool>) {
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let fails = asked.message.method == "tools/call" && is_ill.load(Ordering::SeqCst);
        fails.then(|| Answer::Http(502, String::new()))
    })
    .await;
    (backend, ill)
}

#[tokio::test]
async fn the_circuit_opens_after_five_failures_and_says_when_to_try_again() {
    let (backend, _ill) = ailing().await;
    let yard = Yard::of(&backend.entry_with("ailing", "breaker: { open: 60s, max_open: 60s }")).await;
    let client = Client::modern(&yard.url);
    for _ in 0..5 {
        assert_eq!(client.call("ailing__echo", "{}").await.failure()["error"], "backend_lost");
    }
    let failure = client.call("ailing__echo", "{}").await.failure();
    assert_eq!(failure["error"], "circuit_open");
    assert!(failure["retry_after_ms"].as_u64().is_some_and(|wait| (1..=90_000).contains(&wait)), "{failure}");
    assert_eq!(backend.asked("tools/call").len(), 5, "the refused call was not sent");
    assert_eq!(client.tools().await, ["ailing__echo"], "its tools stay listed");
}

#[tokio::test]
async fn the_circuit_closes_again_after_healing() {
    let (backend, ill) = ailing().await;
    let yard = Yard::of(&backend.entry_with("ailing", "breaker: { open: 50ms, max_open: 50ms }")).await;
    let client = Client::modern(&yard.url);
    eventually("an open circuit", async || {
        (client.call("ailing__echo", "{}").await.failure()["error"] == "circuit_open").then_some(())
    })
    .await;
    ill.store(false, Ordering::SeqCst);
    eventually("an answer", async || {
        let answer = client.call("ailing__echo", "{}").await.result_value();
        answer["isError"].is_null().then_some(())
    })
    .await;
    assert_eq!(yard.backend("ailing").snapshot.breaker, "closed");
}

#[tokio::test]
async fn the_open_circuit_of_one_backend_leaves_the_others_closed() {
    let (backend, _ill) = ailing().await;
    let other = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
    let entries =
        backend.entry_with("ailing", "breaker: { open: 60s, max_open: 60s }") + &other.entry("other");
    let yard = Yard::of(&entries).await;
    let client = Client::legacy(&yard.url).await;
    for _ in 0..20 {
        client.call("ailing__echo", "{}").await.failure();
        assert!(client.call("other__echo", "{}").await.result_value()["isError"].is_null());
    }
    assert_eq!(yard.backend("ailing").snapshot.breaker, "open");
    assert_eq!(yard.backend("other").snapshot.breaker, "closed");
    assert_eq!(backend.asked("tools/call").len(), 5);
}

#[tokio::test]
async fn a_tool_that_fails_by_its_own_account_opens_nothing() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let failed = r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#;
        (asked.message.method == "tools/call").then(|| Answer::Result(failed.to_owned()))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url);
    for _ in 0..20 {
        assert_eq!(client.call("raw__echo", "{}").await.result_value()["content"][0]["text"], "no");
    }
    assert_eq!(backend.asked("tools/call").len(), 20);
}
