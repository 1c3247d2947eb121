//! A call that came to nothing: when is it made again, and when is it not?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually, port, within};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

/// A backend that hangs up on the first `losses` calls.
async fn losing(losses: usize) -> RawBackend {
    let left = Arc::new(AtomicUsize::new(losses));
    RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let is_call = asked.message.method == "tools/call";
        let is_lost = is_call
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        is_lost.then_some(Answer::HangUp)
    })
    .await
}

#[tokio::test]
async fn a_call_that_may_have_run_is_made_again_only_where_the_operator_says_so() {
    let (careful, opted) = (losing(1).await, losing(1).await);
    let entries =
        careful.entry("careful") + &opted.entry_with("opted", r#"tools: { "ech*": { retry: true } }"#);
    let yard = Yard::of(&entries).await;
    let client = Client::modern(&yard.url);
    let failure = client.call("careful__echo", "{}").await.failure();
    assert_eq!(failure["error"], "backend_lost");
    assert!(failure["message"].as_str().unwrap().contains("may have run"), "{failure}");
    assert_eq!(careful.asked("tools/call").len(), 1);
    assert!(client.call("opted__echo", "{}").await.result_value()["isError"].is_null());
    assert_eq!(opted.asked("tools/call").len(), 2);
}

#[tokio::test]
async fn a_call_is_made_again_once_and_then_says_that_it_may_have_run() {
    let backend = losing(usize::MAX).await;
    let yard = Yard::of(&backend.entry_with("raw", "tools: { echo: { retry: true } }")).await;
    let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
    assert!(failure["message"].as_str().unwrap().contains("may have run"), "{failure}");
    assert_eq!(backend.asked("tools/call").len(), 2);
}

#[tokio::test]
async fn retries_stay_within_their_budget_however_many_calls_fail() {
    const CALLS: usize = 200;
    let backend = losing(usize::MAX).await;
    let settings = "tools: { echo: { retry: true } }, breaker: { failures: 1000000, success_rate: 0 }";
    let yard = Yard::of(&backend.entry_with("raw", settings)).await;
    let (client, start) = (Client::modern(&yard.url), Instant::now());
    for _ in 0..CALLS {
        client.call("raw__echo", "{}").await.failure();
    }
    let retries = backend.asked("tools/call").len() - CALLS;
    let allowed = 0.2 * CALLS as f64 + 3.0 * (start.elapsed().as_secs_f64() + 1.0);
    assert!(retries > 0 && retries as f64 <= allowed, "{retries} retries, {allowed} allowed");
}

#[tokio::test]
async fn a_call_that_was_not_sent_waits_for_its_backend_to_come_back() {
    let listener = port::listener().await;
    let address = listener.local_addr().unwrap();
    let backend = RawBackend::start_on(listener, Speaks::Legacy, TOOLS, |_| None);
    let yard = Yard::of(&backend.entry_with("raw", "restart: { backoff: 20ms, max_backoff: 20ms }")).await;
    drop(backend);
    eventually("a port that refuses", async || tokio::net::TcpStream::connect(address).await.err()).await;
    let client = Client::modern(&yard.url);
    let calling = tokio::spawn(async move { client.call("raw__echo", "{}").await.result_value() });
    yard.until("raw", "down").await;
    let listener = TcpListener::bind(address).await.unwrap();
    let backend = RawBackend::start_on(listener, Speaks::Legacy, TOOLS, |_| None);
    let result = within("the answer", calling).await.unwrap();
    assert!(result["isError"].is_null(), "{result}");
    assert_eq!(backend.asked("tools/call").len(), 1);
}

#[tokio::test]
async fn a_backend_that_asks_for_a_pause_is_left_alone_until_it_is_over() {
    for (status, headers) in [(429, ("retry-after", "60")), (503, ("retry-after", "60"))] {
        let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
            (asked.message.method == "tools/call").then_some(Answer::Headed(status, headers))
        })
        .await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::modern(&yard.url);
        let first = client.call("raw__echo", "{}").await.failure();
        assert_eq!((&first["error"], &first["retry_after_ms"]), (&"backend_busy".into(), &60_000.into()));
        let second = client.call("raw__echo", "{}").await.failure();
        assert_eq!(second["error"], "backend_busy");
        let wait = Duration::from_millis(second["retry_after_ms"].as_u64().unwrap());
        assert!((Duration::from_secs(1)..=Duration::from_secs(60)).contains(&wait), "{second}");
        assert_eq!(backend.asked("tools/call").len(), 1, "the second call was not sent");
        assert_eq!(yard.backend("raw").snapshot.breaker, "closed");
    }
}

#[tokio::test]
async fn one_tool_can_have_another_deadline_than_its_backend() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        (asked.message.method == "tools/call").then(Answer::never)
    })
    .await;
    let settings = r#"timeouts: { call: 1h, total: 1h }, tools: { "e*": { timeouts: { call: 50ms } } }"#;
    let yard = Yard::of(&backend.entry_with("raw", settings)).await;
    let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
    assert_eq!(failure["error"], "tool_timeout");
    assert!(failure["message"].as_str().unwrap().starts_with("no answer in 50ms"), "{failure}");
}
