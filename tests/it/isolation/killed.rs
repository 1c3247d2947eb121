//! A child process that is killed in the middle of a call.

use rustix::process::Signal;

use crate::support::gateway::raw_stdio_entry;
use crate::support::process::signal;
use crate::support::{Client, RawBackend, Speaks, Yard, eventually, within};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

async fn pid(client: &Client) -> u32 {
    let pid = client.call("victim__pid", "{}").await.result_value();
    pid["pid"].as_u64().unwrap().try_into().unwrap()
}

/// A call that is surely at the backend: its answer is what the process's end makes of it.
async fn hang(yard: &Yard) -> tokio::task::JoinHandle<serde_json::Value> {
    let client = Client::modern(&yard.url);
    let hanging = tokio::spawn(async move { client.call("victim__hang", "{}").await.failure() });
    let client = Client::modern(&yard.url);
    eventually("a call that hangs", async || {
        let status = client.call("victim__cancelled", "{}").await.result_value();
        (status["hanging"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    hanging
}

#[tokio::test]
async fn a_killed_process_fails_its_own_call_with_a_reason_and_comes_back_by_itself() {
    let other = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
    let victim = raw_stdio_entry("victim", "legacy", "restart: { backoff: 20ms }");
    let yard = Yard::of(&(victim + &other.entry("other"))).await;
    let client = Client::legacy(&yard.url).await;
    let (before, hanging) = (pid(&client).await, hang(&yard).await);
    signal(before, Signal::KILL);
    let failure = within("the end of the call", hanging).await.unwrap();
    assert_eq!((&failure["error"], &failure["backend"]), (&"backend_lost".into(), &"victim".into()));
    assert_eq!(failure["tool"], "victim__hang");
    assert!(failure["message"].as_str().unwrap().contains("may have run"), "{failure}");
    assert!(failure["request_id"].as_str().unwrap().starts_with("req-"));
    assert!(client.call("other__echo", "{}").await.result.is_some());
    let after = eventually("another process", async || {
        let answer = client.call("victim__pid", "{}").await.result_value();
        answer["pid"].as_u64()
    })
    .await;
    assert_ne!(after, u64::from(before));
    assert_eq!(yard.backend("victim").snapshot.restarts, 1);
}

#[tokio::test]
async fn while_a_process_is_down_its_tools_stay_listed_and_calls_say_when_to_try_again() {
    let yard =
        Yard::of(&raw_stdio_entry("victim", "modern", "restart: { backoff: 60s, max_backoff: 60s }")).await;
    let client = Client::legacy(&yard.url).await;
    let tools = client.tools().await;
    signal(pid(&client).await, Signal::KILL);
    yard.until("victim", "down").await;
    let failure = eventually("a call that names its next chance", async || {
        let failure = client.call("victim__echo", "{}").await.failure();
        failure["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0).then_some(failure)
    })
    .await;
    assert_eq!(failure["error"], "backend_unavailable");
    assert!(failure["message"].as_str().unwrap().contains("signal"), "{failure}");
    assert_eq!(client.tools().await, tools);
}

#[tokio::test]
async fn a_process_that_is_stopped_delays_its_own_calls_only_and_goes_on_when_continued() {
    let other = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let victim = raw_stdio_entry("victim", "modern", "timeouts: { call: 2s }");
    let yard = Yard::of(&(victim + &other.entry("other"))).await;
    let client = Client::legacy(&yard.url).await;
    let stopped = pid(&client).await;
    signal(stopped, Signal::STOP);
    let failing = tokio::spawn({
        let client = Client::modern(&yard.url);
        async move { client.call("victim__echo", "{}").await.failure() }
    });
    eventually("a call that waits", async || (yard.backend("victim").snapshot.in_flight == 1).then_some(()))
        .await;
    assert!(client.call("other__echo", "{}").await.result_value()["isError"].is_null());
    let failure = within("the deadline", failing).await.unwrap();
    assert_eq!(failure["error"], "tool_timeout");
    signal(stopped, Signal::CONT);
    assert_eq!(pid(&client).await, stopped, "the same process answers");
}
