//! A backend that takes calls and does not answer them, or forgets who asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Barrier;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually, within};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

async fn silent(speaks: Speaks) -> RawBackend {
    RawBackend::start(speaks, TOOLS, |asked| (asked.message.method == "tools/call").then(Answer::never)).await
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_with_a_timeout_and_delays_nobody() {
    let (backend, other) =
        (silent(Speaks::Modern).await, RawBackend::start(Speaks::Modern, TOOLS, |_| None).await);
    let entries = backend.entry_with("silent", "timeouts: { call: 1s }") + &other.entry("other");
    let yard = Yard::of(&entries).await;
    let client = Client::modern(&yard.url);
    let waiting = tokio::spawn({
        let client = Client::legacy(&yard.url).await;
        async move { client.call("silent__echo", "{}").await.failure() }
    });
    eventually("a call that waits", async || (!backend.asked("tools/call").is_empty()).then_some(())).await;
    for _ in 0..50 {
        assert!(client.call("other__echo", "{}").await.result.is_some());
    }
    let failure = within("the deadline", waiting).await.unwrap();
    assert_eq!(failure["error"], "tool_timeout");
    assert!(failure["message"].as_str().unwrap().starts_with("no answer in 1s"), "{failure}");
    assert_eq!(backend.asked("tools/call").len(), 1, "a call that may have run is not sent again");
}

#[tokio::test]
async fn a_full_backend_says_so_at_once_and_the_call_is_not_sent() {
    let backend = silent(Speaks::Legacy).await;
    let yard = Yard::of(&backend.entry_with("full", "concurrency: { in_flight: 2, queue_wait: 0s }")).await;
    for _ in 0..2 {
        let client = Client::modern(&yard.url);
        tokio::spawn(async move { client.call("full__echo", "{}").await });
    }
    eventually("two calls", async || (backend.asked("tools/call").len() == 2).then_some(())).await;
    let failure = Client::modern(&yard.url).call("full__echo", "{}").await.failure();
    assert_eq!(failure["error"], "backend_busy");
    assert_eq!(backend.asked("tools/call").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_session_is_opened_again_once_however_many_calls_meet_it() {
    const CALLS: usize = 20;
    let (forgotten, all) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(CALLS)));
    let (forgets, together) = (Arc::clone(&forgotten), Arc::clone(&all));
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let is_old = asked.headers.get("mcp-session-id").is_some_and(|session| session == "session-1");
        let is_refused = asked.message.method == "tools/call" && is_old && forgets.load(Ordering::SeqCst);
        is_refused.then(|| {
            let together = Arc::clone(&together);
            Answer::later(async move {
                together.wait().await;
                Answer::Http(404, String::new())
            })
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    assert!(Client::modern(&yard.url).call("raw__echo", "{}").await.result.is_some());
    forgotten.store(true, Ordering::SeqCst);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let client = Client::modern(&yard.url);
        calls.spawn(async move { client.call("raw__echo", "{}").await.result_value() });
    }
    let results = within("all calls", calls.join_all()).await;
    assert!(results.iter().all(|result| result["isError"].is_null()), "{results:?}");
    assert_eq!(backend.asked("initialize").len(), 2, "the first session and one more");
    assert_eq!(backend.asked("tools/call").len(), 1 + 2 * CALLS);
}
