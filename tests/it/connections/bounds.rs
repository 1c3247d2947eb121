//! What happens when a backend may have no more connections, and where calls would meet.

use serde_json::json;

use super::{guarded, note, pid};
use crate::support::gateway::raw_stdio_entry;
use crate::support::{Client, Yard, eventually};

/// A call that never ends, for as long as the task is not aborted.
async fn hang(yard: &Yard, token: Option<&str>) -> tokio::task::JoinHandle<()> {
    let before = yard.backend("book").snapshot.in_flight;
    let client = Client::modern(&yard.url);
    let client = match token {
        Some(token) => client.with_token(token),
        None => client,
    };
    let hanging = tokio::spawn(async move {
        let _ = client.request("1", "tools/call", r#""name":"book__hang","arguments":{}"#, "").send().await;
    });
    eventually("a call in flight", async || {
        let snapshot = yard.backend("book").snapshot;
        (snapshot.in_flight > before && snapshot.connections.open > 0).then_some(())
    })
    .await;
    hanging
}

#[tokio::test]
async fn the_one_unused_longest_makes_room_and_one_in_use_never_does() {
    let settings = "connections: { mode: per_principal, max: 1 }, concurrency: { queue_wait: 50ms }";
    let (yard, ann, bob) = guarded(&raw_stdio_entry("book", "legacy", settings)).await;
    let anns = Client::modern(&yard.url).with_token(&ann);
    let bobs = Client::modern(&yard.url).with_token(&bob);
    note(&anns, "lost").await;
    assert_eq!(note(&bobs, "b").await, json!(["b"]));
    assert_eq!(note(&anns, "a").await, json!(["a"]), "bob took the room");
    let hanging = hang(&yard, Some(&ann)).await;
    let failure = bobs.call("book__note", r#""b""#).await.failure();
    assert_eq!(failure["error"], "backend_busy");
    assert!(failure["message"].as_str().unwrap().contains("in use"), "{failure}");
    assert_eq!(note(&anns, "a2").await, json!(["a", "a2"]), "its own holder may use it");
    hanging.abort();
}

#[tokio::test]
async fn calls_that_run_at_one_time_do_not_meet_where_none_may_share() {
    let settings = "connections: { mode: exclusive, max: 2 }, concurrency: { queue_wait: 50ms }";
    let yard = Yard::of(&raw_stdio_entry("book", "modern", settings)).await;
    let client = Client::modern(&yard.url);
    let first = pid(&client).await;
    assert_eq!(pid(&client).await, first, "calls after each other meet the same process");
    let one = hang(&yard, None).await;
    let second = pid(&client).await;
    assert_ne!(second, first);
    let two = hang(&yard, None).await;
    assert_eq!(client.call("book__pid", "{}").await.failure()["error"], "backend_busy");
    one.abort();
    two.abort();
}
