//! Connections that are kept for a principal.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::json;

use super::{guarded, note};
use crate::support::client::LEGACY;
use crate::support::gateway::raw_stdio_entry;
use crate::support::{Answer, Client, RawBackend, Speaks, within};

const PER_PRINCIPAL: &str = "connections: { mode: per_principal }";
const TOOLS: &str = r#"[{"name":"note","inputSchema":{"type":"object"}}]"#;

/// What each principal wrote is what it reads, from a session and without one; nobody else does.
async fn hold_apart(entries: &str) {
    let (yard, ann, bob) = guarded(entries).await;
    let anns = Client::modern(&yard.url).with_token(&ann);
    let also_anns = Client::modern(&yard.url).with_token(&ann).open(LEGACY).await;
    let bobs = Client::modern(&yard.url).with_token(&bob);
    assert_eq!(note(&anns, "a1").await, json!(["a1"]));
    assert_eq!(note(&bobs, "b1").await, json!(["b1"]));
    assert_eq!(note(&also_anns, "a2").await, json!(["a1", "a2"]));
    assert_eq!(note(&bobs, "b2").await, json!(["b1", "b2"]));
    let all = (0..20).map(|n| {
        let client = Client::modern(&yard.url).with_token(if n % 2 == 0 { &ann } else { &bob });
        async move { note(&client, if n % 2 == 0 { "a" } else { "b" }).await }
    });
    for (n, noted) in futures(all).await.into_iter().enumerate() {
        let own = if n % 2 == 0 { "a" } else { "b" };
        assert!(
            noted.as_array().unwrap().iter().all(|text| text.as_str().unwrap().starts_with(own)),
            "{noted}"
        );
    }
    assert_eq!(yard.backend("book").snapshot.connections.open, 2);
    within("the end", yard.stop()).await;
}

/// All of them at once.
async fn futures<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(within("an answer", task).await.unwrap());
    }
    results
}

#[tokio::test]
async fn principals_do_not_share_a_process_of_either_era() {
    for era in ["legacy", "modern"] {
        hold_apart(&raw_stdio_entry("book", era, PER_PRINCIPAL)).await;
    }
}

/// A server whose sessions have a notebook each.
async fn notebook() -> RawBackend {
    let notes: Mutex<BTreeMap<String, Vec<String>>> = Mutex::default();
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        if asked.message.method != "tools/call" {
            return None;
        }
        let session = asked.headers.get("mcp-session-id")?.to_str().unwrap().to_owned();
        let mut notes = notes.lock();
        let own = notes.entry(session).or_default();
        own.push(asked.message.param("arguments")?);
        Some(Answer::Result(format!(r#"{{"content":[],"noted":[{}]}}"#, own.join(","))))
    })
    .await
}

#[tokio::test]
async fn principals_do_not_share_a_session_over_http() {
    let backend = notebook().await;
    hold_apart(&backend.entry_with("book", PER_PRINCIPAL)).await;
    assert_eq!(backend.asked("initialize").len(), 3, "one for the catalog, one for each principal");
}

#[tokio::test]
async fn without_a_setting_calls_share_what_the_server_keeps() {
    let backend = notebook().await;
    let (yard, ann, bob) = guarded(&backend.entry("book")).await;
    note(&Client::modern(&yard.url).with_token(&ann), "a").await;
    assert_eq!(note(&Client::modern(&yard.url).with_token(&bob), "b").await, json!(["a", "b"]));
    let connections = yard.backend("book").snapshot.connections;
    assert_eq!((connections.mode, connections.open), ("shared", 0));
    assert!(connections.why.starts_with("not set"), "{}", connections.why);
}
