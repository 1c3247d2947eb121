//! A server that speaks both eras, and offers more in the older one.

use http::Method;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::mpsc::{self, Sender};

use crate::support::client::Events;
use crate::support::message::notification;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually, within};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true}},"serverInfo":{"name":"raw","version":"1"}}"#;
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{}},"ttlMs":0,"cacheScope":"private"}"#;

fn is_legacy(asked: &Asked) -> bool {
    asked.headers.contains_key("mcp-session-id")
}

/// The server, and its `GET` streams.
async fn both() -> (RawBackend, Arc<Mutex<Vec<Sender<String>>>>) {
    let streams = Arc::<Mutex<Vec<Sender<String>>>>::default();
    let open = Arc::clone(&streams);
    let backend = RawBackend::start(Speaks::Both, TOOLS, move |asked| {
        if asked.verb == Method::GET {
            let (sender, stream) = mpsc::channel(16);
            open.lock().push(sender);
            return Some(Answer::Events(stream));
        }
        let text = match asked.message.method.as_str() {
            "initialize" => INITIALIZED,
            "server/discover" => DISCOVERED,
            "resources/list" => r#"{"resources":[{"uri":"a://1","name":"1"}]}"#,
            "resources/subscribe" | "resources/unsubscribe" if is_legacy(asked) => "{}",
            _ => return None,
        };
        Some(Answer::Result(text.to_owned()))
    })
    .await;
    (backend, streams)
}

#[tokio::test]
async fn each_client_meets_a_server_of_both_eras_in_its_own() {
    let (backend, _streams) = both().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    assert_eq!(yard.backend("raw").snapshot.era, Some("modern"));
    for _ in 0..2 {
        assert!(Client::legacy(&yard.url).await.call("raw__echo", "{}").await.result.is_some());
        assert!(Client::modern(&yard.url).call("raw__echo", "{}").await.result.is_some());
    }
    let calls: Vec<bool> = backend.asked("tools/call").iter().map(is_legacy).collect();
    assert_eq!(calls, [true, false, true, false]);
    assert_eq!(backend.asked("initialize").len(), 1, "legacy clients share a session");
}

#[tokio::test]
async fn a_legacy_client_subscribes_where_only_the_legacy_side_tells_of_changes() {
    let (backend, streams) = both().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    let listening = client.verb(Method::GET).header("accept", "text/event-stream").send();
    let mut events = Events::of(within("a stream", listening).await.unwrap());
    let subscribed = client.ask("resources/subscribe", r#""uri":"a://1""#).await;
    assert_eq!(subscribed.result.as_deref(), Some("{}"), "{subscribed:?}");
    let asked = backend.asked("resources/subscribe");
    assert!(asked.len() == 1 && is_legacy(&asked[0]), "{asked:?}");

    let stream = eventually("a stream of the session", async || streams.lock().first().cloned()).await;
    stream.send(notification("notifications/resources/updated", r#"{"uri":"a://1"}"#)).await.unwrap();
    let updated = events.next().await.unwrap();
    assert_eq!(updated.method, "notifications/resources/updated");
    assert_eq!(updated.param("uri").as_deref(), Some("\"a://1\""));
    assert!(client.ask("resources/unsubscribe", r#""uri":"a://1""#).await.result.is_some());
    eventually("the end of the subscription", async || {
        (!backend.asked("resources/unsubscribe").is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_of_the_modern_era_is_asked_once_and_serves_legacy_clients_all_the_same() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for _ in 0..3 {
        assert!(Client::legacy(&yard.url).await.call("raw__echo", "{}").await.result.is_some());
    }
    assert_eq!(backend.asked("initialize").len(), 1);
}
