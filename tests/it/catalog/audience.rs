//! What clients that cannot use all of a tool see of it.

use serde_json::Value;

use crate::support::{Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[
    {"name":"plain","inputSchema":{"type":"object"}},
    {"name":"panel","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://panel","visibility":["app"]}}},
    {"name":"rows","inputSchema":{"type":"object","properties":{"any":true}},"outputSchema":{"type":"array"}}
]"#;

async fn listed(client: &Client) -> Vec<Value> {
    client.ask("tools/list", "").await.result_value()["tools"].as_array().unwrap().clone()
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_client_gets_the_tools_it_can_use_in_a_form_its_revision_has() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("raw")).await;

    let apps = r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#;
    let host = listed(&Client::modern(&yard.url).able(apps)).await;
    assert_eq!(names(&host), ["raw__plain", "raw__panel", "raw__rows"]);
    assert_eq!(host[1]["_meta"]["ui"]["resourceUri"], "ui://panel");

    let modern = listed(&Client::modern(&yard.url)).await;
    assert_eq!(names(&modern), ["raw__plain", "raw__rows"]);
    assert_eq!(modern[1]["outputSchema"]["type"], "array");
    assert_eq!(modern[1]["inputSchema"]["properties"]["any"], true);

    let legacy = listed(&Client::legacy(&yard.url).await).await;
    assert_eq!(names(&legacy), ["raw__plain", "raw__rows"]);
    assert!(legacy[1].get("outputSchema").is_none());
    assert_eq!(legacy[1]["inputSchema"]["properties"]["any"], serde_json::json!({}));
}
