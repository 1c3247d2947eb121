//! rmcp's client, in both eras and over both transports, at the three demo backends.

use rmcp::ClientLifecycleMode;
use rmcp::model::{ClientRequest, GetPromptRequestParams, ReadResourceRequestParams, Request};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};

use crate::support::peer::{self, Peer, call};
use crate::support::{Yard, demo, eventually, within};

/// Everything a client does with the demo servers.
async fn use_everything(client: Peer) {
    lists(&client).await;
    tools(&client).await;
    prompts_and_resources(&client).await;
    progress(&client).await;
    within("the end of the client", client.cancel()).await.unwrap();
}

/// Over stdio the gateway starts with its client: what it lists becomes complete.
async fn lists(client: &Peer) {
    let names = eventually("all fifteen tools", async || {
        let tools = client.list_all_tools().await.unwrap();
        (tools.len() == 15).then(|| tools.into_iter().map(|tool| tool.name.into_owned()).collect::<Vec<_>>())
    })
    .await;
    for name in ["crm__find_customer", "api__check_stock", "search__search_docs"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    let prompts = within("prompts", client.list_all_prompts()).await.unwrap();
    assert!(prompts.iter().any(|prompt| prompt.name == "crm__prepare_call"), "{prompts:?}");
    let resources = within("resources", client.list_all_resources()).await.unwrap();
    assert!(resources.iter().any(|resource| resource.uri == "crm://summary"), "{resources:?}");
    let templates = within("templates", client.list_all_resource_templates()).await.unwrap();
    assert!(
        templates.iter().any(|template| template.uri_template == "crm://customers/{id}"),
        "{templates:?}"
    );
}

async fn tools(client: &Peer) {
    let calls = [
        ("crm__get_customer", json!({"id": 1}), "id"),
        ("api__check_stock", json!({"sku": "TEA-100"}), "sku"),
        ("search__search_docs", json!({"query": "breaker"}), "hits"),
    ];
    for (tool, arguments, member) in calls {
        let result = within(tool, client.call_tool(call(tool, arguments))).await.unwrap();
        assert_ne!(result.is_error, Some(true), "{tool}: {result:?}");
        let content: Value = result.structured_content.unwrap();
        assert!(content.get(member).is_some(), "{tool}: {content}");
    }
}

async fn prompts_and_resources(client: &Peer) {
    let Value::Object(arguments) = json!({"customer_id": "1"}) else { unreachable!() };
    let asked = GetPromptRequestParams::new("crm__prepare_call").with_arguments(arguments);
    let prompt = within("a prompt", client.get_prompt(asked)).await.unwrap();
    assert_eq!(prompt.messages.len(), 1);
    for uri in ["crm://summary", "crm://customers/1"] {
        let read = within(uri, client.read_resource(ReadResourceRequestParams::new(uri))).await.unwrap();
        let contents: Value = serde_json::to_value(&read.contents).unwrap();
        assert_eq!(contents[0]["uri"], uri);
    }
}

/// Each notification carries the token of the client's own request.
async fn progress(client: &Peer) {
    let request = Request::new(call("api__slow_report", json!({"seconds": 1})));
    let request = ClientRequest::CallToolRequest(request);
    let sent = client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap();
    let token = sent.progress_token.clone();
    within("the report", sent.await_response()).await.unwrap();
    let recorder = client.service();
    eventually("progress with the call's own token", async || {
        let seen = recorder.progress.lock();
        seen.iter().any(|progress| progress.progress_token == token).then_some(())
    })
    .await;
}

async fn over_http(era: ClientLifecycleMode) {
    let yard = Yard::start(&demo::backends()).await;
    use_everything(peer::over_http(&yard.url, era).await).await;
    yard.stop().await;
}

async fn over_stdio(era: ClientLifecycleMode) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gateway.yaml"), demo::backends()).unwrap();
    use_everything(peer::over_stdio(directory.path(), era).await).await;
}

#[tokio::test]
async fn a_legacy_client_over_http_uses_every_demo_backend() {
    over_http(peer::legacy()).await;
}

#[tokio::test]
async fn a_modern_client_over_http_uses_every_demo_backend() {
    over_http(peer::modern()).await;
}

#[tokio::test]
async fn a_legacy_client_over_stdio_uses_every_demo_backend() {
    over_stdio(peer::legacy()).await;
}

#[tokio::test]
async fn a_modern_client_over_stdio_uses_every_demo_backend() {
    over_stdio(peer::modern()).await;
}
