//! Entries that a typed client would refuse, and URIs that a client spells in another way than its lists.

use serde_json::{Value, json};

use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{"subscribe":true}},"serverInfo":{"name":"raw","version":"1"}}"#;

/// A legacy backend with these lists, which answers every read with the URI it was asked for.
pub(super) async fn listing(lists: Value) -> RawBackend {
    RawBackend::start(Speaks::Legacy, "[]", move |asked| {
        let method = asked.message.method.as_str();
        let text = match method {
            "initialize" => INITIALIZED.to_owned(),
            "resources/read" => {
                format!(r#"{{"contents":[{{"uri":{},"text":"here"}}]}}"#, asked.message.param("uri")?)
            }
            "resources/subscribe" => "{}".to_owned(),
            "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" => {
                let member = match method {
                    "resources/templates/list" => "resourceTemplates",
                    other => other.split('/').next()?,
                };
                json!({ member: lists.get(member).cloned().unwrap_or(json!([])) }).to_string()
            }
            _ => return None,
        };
        Some(Answer::Result(text))
    })
    .await
}

async fn entries(client: &Client, method: &str, member: &str) -> Vec<Value> {
    let listed = client.ask(method, "").await.result_value();
    listed[member].as_array().unwrap().clone()
}

#[tokio::test]
async fn one_odd_entry_costs_no_other_entry_and_operators_hear_of_it() {
    let backend = listing(json!({
        "tools": [
            {"name": "good", "inputSchema": {"type": "object"}},
            {"name": "odd", "title": 5, "inputSchema": {"properties": {"a": null}}, "annotations": {"readOnlyHint": "yes"}},
            {"name": "string", "inputSchema": {"type": "string"}},
            "no object",
        ],
        "prompts": [{"name": "p", "arguments": [{"name": "a", "required": null}]}],
        "resources": [
            {"uri": "x://1", "size": "12", "annotations": {"priority": "high"}},
            {"uri": "no url", "name": "n"},
        ],
    }))
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
        let tools = entries(&client, "tools/list", "tools").await;
        assert_eq!(
            tools,
            [
                json!({"name": "raw__good", "inputSchema": {"type": "object"}}),
                json!({"name": "raw__odd", "title": "5", "annotations": {}, "inputSchema": {"type": "object", "properties": {"a": {}}}}),
            ]
        );
        let prompts = entries(&client, "prompts/list", "prompts").await;
        assert_eq!(prompts, [json!({"name": "raw__p", "arguments": [{"name": "a"}]})]);
        let resources = entries(&client, "resources/list", "resources").await;
        assert_eq!(resources, [json!({"uri": "x://1", "name": "x://1", "size": 12, "annotations": {}})]);
    }
    let warnings = yard.router.status().warnings;
    for entry in
        ["\"odd\" is repaired", "\"string\" is left out", "\"entry 4\" is left out", "\"no url\" is left out"]
    {
        assert!(warnings.iter().any(|warning| warning.contains(entry)), "{entry}: {warnings:?}");
    }
}

#[tokio::test]
async fn a_normalised_uri_is_read_and_watched_in_the_backends_own_spelling() {
    let backend = listing(json!({
        "resources": [{"uri": "file:///a b", "name": "1"}, {"uri": "http://example.com", "name": "2"}],
        "resourceTemplates": [{"uriTemplate": "docs://straße/{name}", "name": "t"}],
    }))
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let spellings = [
        ("file:///a%20b", "file:///a b"),
        ("http://example.com/", "http://example.com"),
        ("docs://stra%C3%9Fe/x", "docs://straße/x"),
    ];
    let client = Client::legacy(&yard.url).await;
    for (asked, own) in spellings {
        let read = client.ask("resources/read", &format!(r#""uri":"{asked}""#)).await.result_value();
        assert_eq!(read["contents"][0]["text"], "here");
        client.ask("resources/subscribe", &format!(r#""uri":"{asked}""#)).await.result_value();
        for method in ["resources/read", "resources/subscribe"] {
            let last = backend.asked(method).pop().unwrap();
            assert_eq!(last.message.param("uri"), Some(format!("\"{own}\"")), "{method}");
        }
    }
    let modern = Client::modern(&yard.url);
    let read = modern.ask("resources/read", r#""uri":"file:///a%20b""#).await.result_value();
    assert_eq!(read["contents"][0]["text"], "here");
}
