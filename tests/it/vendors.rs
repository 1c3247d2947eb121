//! What becomes of methods, notifications and capabilities that no specification names, and of a client's own name?

use tokio::sync::mpsc;

use crate::support::backend::{Answer, Asked, RawBackend, Speaks};
use crate::support::client::{Client, Events};
use crate::support::gateway::Yard;
use crate::support::message::{notification, result};

const TOOLS: &str = r#"[{"name":"go","inputSchema":{"type":"object"}}]"#;

fn searches(asked: &Asked) -> Option<Answer> {
    (asked.message.method == "acme/search").then(|| Answer::Result(r#"{"items":[1.0]}"#.to_owned()))
}

async fn both_kinds(url: &str) -> [Client; 2] {
    [Client::modern(url), Client::legacy(url).await]
}

#[tokio::test]
async fn the_only_backend_gets_a_method_of_its_vendor_and_answers_it() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let backend = RawBackend::start(speaks, TOOLS, searches).await;
        let yard = Yard::of(&backend.entry("acme")).await;
        for client in both_kinds(&yard.url).await {
            let answer = client.ask("acme/search", r#""query":"x","n":1.50"#).await;
            assert_eq!(answer.result_of("items").as_deref(), Some("[1.0]"), "{answer:?}");
        }
        let asked = backend.asked("acme/search");
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|asked| asked.message.param("n").as_deref() == Some("1.50")));
        let mirrored = asked.iter().filter(|asked| asked.headers.get("mcp-method").is_some());
        assert_eq!(mirrored.count(), if speaks == Speaks::Modern { 2 } else { 0 });
    }
}

#[tokio::test]
async fn where_nothing_says_whose_a_vendors_method_is_nobody_is_asked() {
    let one = RawBackend::start(Speaks::Modern, TOOLS, searches).await;
    let two = RawBackend::start(Speaks::Modern, TOOLS, searches).await;
    let several = Yard::of(&[one.entry("one"), two.entry("two")].concat()).await;
    let partly = Yard::of(&one.entry_with("one", "hide: [secret]")).await;
    for yard in [&several, &partly] {
        for client in both_kinds(&yard.url).await {
            let error = client.ask("acme/search", "").await.error_value();
            assert_eq!(error["code"], -32601, "{error}");
        }
    }
    assert!(one.asked("acme/search").is_empty() && two.asked("acme/search").is_empty());
}

#[tokio::test]
async fn a_method_in_a_namespace_of_mcp_is_no_vendors() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("acme")).await;
    for method in ["tools/forget", "sampling/createMessage", "tasks/list", "rpc.discover"] {
        for client in both_kinds(&yard.url).await {
            assert_eq!(client.ask(method, "").await.error_value()["code"], -32601, "{method}");
        }
        assert!(backend.asked(method).is_empty(), "{method}");
    }
}

#[tokio::test]
async fn a_vendors_notification_reaches_the_client_whose_call_it_is_about() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        if asked.message.method != "tools/call" {
            return None;
        }
        let (events, stream) = mpsc::channel(4);
        let id = asked.message.id.clone().unwrap();
        for text in [
            notification("notifications/acme/moved", r#"{"to":1.0}"#),
            notification("notifications/roots/list_changed", "{}"),
            result(&id, r#"{"content":[]}"#),
        ] {
            events.try_send(text).unwrap();
        }
        Some(Answer::Events(stream))
    })
    .await;
    let yard = Yard::of(&backend.entry("acme")).await;
    for client in both_kinds(&yard.url).await {
        let call = client.request("1", "tools/call", r#""name":"acme__go""#, "");
        let mut events = Events::of(call.send().await.unwrap());
        let told = events.next().await.unwrap();
        assert_eq!(
            (&*told.method, told.params.as_deref()),
            ("notifications/acme/moved", Some(r#"{"to":1.0}"#))
        );
        assert!(events.next().await.unwrap().result.is_some());
    }
}

#[tokio::test]
async fn what_the_only_backend_declares_beyond_mcp_is_declared_to_clients() {
    const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"ttlMs":0,"cacheScope":"private","capabilities":{"tools":{},"experimental":{"acme":{"n":1}},"extensions":{"com.example/flags":{"on":true}}}}"#;
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        (asked.message.method == "server/discover").then(|| Answer::Result(DISCOVERED.to_owned()))
    })
    .await;
    let other = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let alone = Yard::of(&backend.entry("acme")).await;
    let declared = Client::modern(&alone.url).ask("server/discover", "").await.result_value();
    assert_eq!(declared["capabilities"]["experimental"]["acme"]["n"], 1, "{declared}");
    assert_eq!(declared["capabilities"]["extensions"]["com.example/flags"]["on"], true, "{declared}");
    let several = Yard::of(&[backend.entry("acme"), other.entry("other")].concat()).await;
    let declared = Client::modern(&several.url).ask("server/discover", "").await.result_value();
    assert!(declared["capabilities"].get("experimental").is_none(), "{declared}");
}

#[tokio::test]
async fn a_modern_backend_learns_which_client_a_call_comes_from() {
    const NAMED: &str = r#""io.modelcontextprotocol/clientInfo":{"name":"acme-agent","version":"9"}"#;
    const ODD: &str = r#""io.modelcontextprotocol/clientInfo":{"name":7}"#;
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("acme")).await;
    let modern = Client::modern(&yard.url);
    for meta in [NAMED, ODD] {
        modern.exchange(modern.request("1", "tools/call", r#""name":"acme__go""#, meta)).await;
    }
    // Of a legacy client it is known from its handshake.
    Client::legacy(&yard.url).await.call("acme__go", "{}").await;
    let calls = backend.asked("tools/call");
    let names: Vec<String> = calls
        .iter()
        .map(|call| {
            let meta: serde_json::Value =
                serde_json::from_str(&call.message.param("_meta").unwrap()).unwrap();
            meta["io.modelcontextprotocol/clientInfo"]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(names, ["acme-agent", "switchyard", "test"]);
}

#[tokio::test]
async fn a_legacy_client_that_set_no_level_gets_what_its_legacy_server_logs() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        if asked.message.method != "tools/call" {
            return None;
        }
        let (events, stream) = mpsc::channel(4);
        let id = asked.message.id.clone().unwrap();
        events.try_send(notification("notifications/message", r#"{"level":"debug","data":"x"}"#)).unwrap();
        events.try_send(result(&id, r#"{"content":[]}"#)).unwrap();
        Some(Answer::Events(stream))
    })
    .await;
    let yard = Yard::of(&backend.entry("acme")).await;
    let client = Client::legacy(&yard.url).await;
    let heard = client.exchange(client.request("1", "tools/call", r#""name":"acme__go""#, "")).await;
    assert_eq!(heard[0].method, "notifications/message", "{heard:?}");
    client.ask("logging/setLevel", r#""level":"info""#).await;
    let heard = client.exchange(client.request("2", "tools/call", r#""name":"acme__go""#, "")).await;
    assert!(heard[0].result.is_some(), "{heard:?}");
}
