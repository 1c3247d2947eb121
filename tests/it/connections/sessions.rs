//! Connections that are kept for a session, and what it takes with it.

use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use serde_json::json;

use super::{note, pid};
use crate::support::client::LEGACY;
use crate::support::gateway::raw_stdio_entry;
use crate::support::process::is_alive;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually, within};

const PER_SESSION: &str = "connections: { mode: per_session }";
const TOOLS: &str = r#"[{"name":"note","inputSchema":{"type":"object"}}]"#;

#[tokio::test]
async fn each_session_has_its_own_process_until_it_ends() {
    let yard = Yard::of(&raw_stdio_entry("book", "legacy", PER_SESSION)).await;
    let (one, two) = (Client::legacy(&yard.url).await, Client::legacy(&yard.url).await);
    assert_eq!(note(&one, "1").await, json!(["1"]));
    assert_eq!(note(&two, "2").await, json!(["2"]));
    assert_eq!(note(&one, "3").await, json!(["1", "3"]));
    let (ended, stays) = (pid(&one).await, pid(&two).await);
    let deleted = within("the end of a session", one.verb(Method::DELETE).send()).await.unwrap();
    assert!(deleted.status().is_success());
    eventually("the end of its process", async || (!is_alive(ended)).then_some(())).await;
    assert_eq!(pid(&two).await, stays);
    let connections = yard.backend("book").snapshot.connections;
    assert_eq!((connections.mode, connections.open), ("per_session", 1));
}

#[tokio::test]
async fn clients_without_sessions_share_their_principals_process() {
    let yard = Yard::of(&raw_stdio_entry("book", "legacy", PER_SESSION)).await;
    note(&Client::legacy(&yard.url).await, "of a session").await;
    note(&Client::modern(&yard.url), "1").await;
    assert_eq!(note(&Client::modern(&yard.url), "2").await, json!(["1", "2"]));
}

#[tokio::test]
async fn a_sessions_level_and_changes_of_its_roots_reach_its_own_process() {
    let yard = Yard::of(&raw_stdio_entry("book", "legacy", PER_SESSION)).await;
    let able = Client::modern(&yard.url).able(r#"{"roots":{"listChanged":true}}"#).open(LEGACY).await;
    let other = Client::legacy(&yard.url).await;
    assert!(able.ask("logging/setLevel", r#""level":"debug""#).await.result.is_some());
    note(&able, "1").await;
    note(&other, "2").await;
    able.tell(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#.to_owned()).await;
    eventually("the change of its roots", async || {
        let noted = note(&able, "again").await;
        (noted.as_array().unwrap().contains(&json!("roots"))).then_some(())
    })
    .await;
    assert_eq!(note(&able, "x").await[0], json!({"level": "debug"}));
    assert_eq!(note(&other, "3").await, json!(["2", "3"]), "nothing of another session's");
}

#[tokio::test]
async fn a_session_that_its_server_forgot_is_opened_again_as_it_was() {
    let forgotten = AtomicBool::new(false);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| match asked.message.method.as_str() {
        "initialize" => Some(Answer::Result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"raw","version":"1"}}"#
                .to_owned(),
        )),
        "logging/setLevel" => Some(Answer::Result("{}".to_owned())),
        "tools/call" if asked.message.param("arguments")? == r#""2""# && !forgotten.swap(true, Ordering::Relaxed) => {
            Some(Answer::Http(404, String::new()))
        }
        _ => None,
    })
    .await;
    let yard = Yard::of(&backend.entry_with("book", PER_SESSION)).await;
    let client = Client::modern(&yard.url).able(r#"{"elicitation":{}}"#).open(LEGACY).await;
    assert!(client.ask("logging/setLevel", r#""level":"notice""#).await.result.is_some());
    assert!(client.call("book__note", r#""1""#).await.result.is_some());
    assert!(client.call("book__note", r#""2""#).await.result_value()["isError"].is_null());
    let opened = backend.asked("initialize");
    let able: Vec<_> = opened.iter().map(|asked| asked.message.param("capabilities").unwrap()).collect();
    assert_eq!(able, ["{}", r#"{"elicitation":{}}"#, r#"{"elicitation":{}}"#]);
    let levels = backend.asked("logging/setLevel");
    let sessions: Vec<_> =
        levels.iter().map(|asked| asked.headers["mcp-session-id"].to_str().unwrap()).collect();
    assert_eq!(sessions, ["session-2", "session-3"]);
    assert!(levels.iter().all(|asked| asked.message.param("level").as_deref() == Some(r#""notice""#)));
}
