//! What is in no list: asked of the one backend that can have it, or refused.

use serde_json::json;

use super::odd_entries::listing;
use crate::support::gateway::RefusedPort;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

#[tokio::test]
async fn a_uri_in_no_list_is_read_and_watched_at_the_only_backend_that_can_have_it() {
    let backend = listing(json!({"resources": [{"uri": "notes://1", "name": "1"}]})).await;
    let tools = RawBackend::start(Speaks::Legacy, "[]", |_| None).await;
    let yard = Yard::of(&format!("{}{}", backend.entry("raw"), tools.entry("tools"))).await;
    let client = Client::legacy(&yard.url).await;
    for uri in ["notes://2", "other://2"] {
        let read = client.ask("resources/read", &format!(r#""uri":"{uri}""#)).await.result_value();
        assert_eq!(read["contents"][0]["uri"], uri);
        client.ask("resources/subscribe", &format!(r#""uri":"{uri}""#)).await.result_value();
    }
    assert_eq!(backend.asked("resources/subscribe").len(), 2);
    assert!(tools.asked("resources/read").is_empty());
}

#[tokio::test]
async fn a_uri_that_several_backends_may_have_is_asked_of_none() {
    let one = listing(json!({"resources": [{"uri": "notes://1", "name": "1"}]})).await;
    let two = listing(json!({"resources": [{"uri": "files://1", "name": "1"}]})).await;
    let yard = Yard::of(&format!("{}{}", one.entry("one"), two.entry("two"))).await;
    let client = Client::modern(&yard.url);
    let read = async |uri: &str| client.ask("resources/read", &format!(r#""uri":"{uri}""#)).await;
    assert_eq!(read("other://2").await.error_value()["code"], -32602);
    assert!(one.asked("resources/read").is_empty() && two.asked("resources/read").is_empty());
    read("files://2").await.result_value();
    assert!(one.asked("resources/read").is_empty());
}

#[tokio::test]
async fn an_only_backend_without_a_prefix_answers_for_names_in_no_list() {
    const TOOLS: &str = r#"[{"name":"known","inputSchema":{"type":"object"}}]"#;
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let is_hidden = asked.message.param("name").as_deref() == Some("\"hidden\"");
        let is_call = matches!(asked.message.method.as_str(), "tools/call" | "prompts/get");
        (is_call && !is_hidden)
            .then(|| Answer::Error(r#"{"code":-32602,"message":"its own words"}"#.to_owned()))
    })
    .await;
    let yard = Yard::of(&backend.entry_with("raw", "prefix: \"\", hide: [\"secret*\"]")).await;
    for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
        client.call("hidden", "{}").await.result_value();
        assert_eq!(client.call("nope", "{}").await.error_value()["message"], "its own words");
        assert_eq!(
            client.ask("prompts/get", r#""name":"nope""#).await.error_value()["message"],
            "its own words"
        );
        let secret = client.call("secret_tool", "{}").await.error_value();
        assert!(secret["message"].as_str().unwrap().contains("unknown tool"), "{secret}");
    }
}

#[tokio::test]
async fn a_name_of_a_backend_that_was_never_reached_is_answered_with_why_and_when() {
    let known = RawBackend::start(
        Speaks::Legacy,
        r#"[{"name":"find_customer","inputSchema":{"type":"object"}}]"#,
        |_| None,
    )
    .await;
    let down = RefusedPort::new();
    let yard = Yard::of(&format!("{}{}", known.entry("api"), down.entry("crm"))).await;
    for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
        let error = client.call("crm__find_customer", "{}").await.error_value();
        assert!(error["message"].as_str().unwrap().starts_with("crm: "), "{error}");
        let failure = &error["data"];
        assert_eq!((&failure["error"], &failure["backend"]), (&"backend_unavailable".into(), &"crm".into()));
        assert!(failure["retry_after_ms"].as_u64().is_some(), "{failure}");
        assert!(!failure["message"].as_str().unwrap().contains("api__"), "{failure}");
        for (method, members) in [
            ("prompts/get", r#""name":"crm__p""#),
            ("resources/read", r#""uri":"crm+x://1""#),
            ("resources/read", r#""uri":"x://1""#),
            (
                "completion/complete",
                r#""ref":{"type":"ref/prompt","name":"crm__p"},"argument":{"name":"a","value":""}"#,
            ),
        ] {
            let error = client.ask(method, members).await.error_value();
            assert_eq!(error["data"]["error"], "backend_unavailable", "{method} {members}: {error}");
        }
        let error = client.call("other__find_customer", "{}").await.error_value();
        assert!(error["message"].as_str().unwrap().contains("`api__find_customer`"), "{error}");
    }
}
