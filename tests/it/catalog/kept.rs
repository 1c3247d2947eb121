//! Lists from the file that an earlier run left, before any backend has answered.

use switchyard::gateway::Keep;
use tokio::sync::watch;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object","x":1.50}}]"#;

/// A backend that answers nothing for as long as the gate is shut.
async fn gated() -> (RawBackend, watch::Sender<bool>) {
    let (gate, is_open) = watch::channel(true);
    let backend = RawBackend::start(Speaks::Modern, TOOLS, move |_| {
        let mut is_open = is_open.clone();
        Some(Answer::later(async move {
            let _ = is_open.wait_for(|is_open| *is_open).await;
            Answer::Ordinary
        }))
    })
    .await;
    (backend, gate)
}

#[tokio::test]
async fn what_was_kept_is_listed_at_once_marked_stale_until_its_backend_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (backend, gate) = gated().await;
    let yaml = format!("backends:\n{}", backend.entry_with("raw", "timeouts: { connect: 60s }"));
    let first = Yard::start_in(directory.path(), &yaml, Keep::Catalog).await;
    let file = directory.path().join(".switchyard/catalog.json");
    eventually("a kept catalog", async || {
        std::fs::read_to_string(&file).ok().filter(|text| text.contains("1.50"))
    })
    .await;
    first.stop().await;

    gate.send_replace(false);
    let second = Yard::start_in(directory.path(), &yaml, Keep::Catalog).await;
    for client in [Client::legacy(&second.url).await, Client::modern(&second.url)] {
        let answer = client.ask("tools/list", "").await;
        assert!(answer.result.as_deref().unwrap().contains("1.50"), "{answer:?}");
        let listed = answer.result_value();
        assert_eq!(listed["tools"][0]["name"], "raw__echo");
        assert_eq!(listed["_meta"]["switchyard/stale"], serde_json::json!(["raw"]));
    }
    assert_eq!(second.backend("raw").snapshot.state, "connecting");

    gate.send_replace(true);
    let client = Client::modern(&second.url);
    eventually("a list that is current", async || {
        let listed = client.ask("tools/list", "").await.result_value();
        listed["_meta"]["switchyard/stale"].is_null().then_some(())
    })
    .await;
    assert!(client.call("raw__echo", "{}").await.result.is_some());
}

#[tokio::test]
async fn what_was_kept_of_another_server_under_the_same_name_is_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let (backend, _gate) = gated().await;
    let yaml = format!("backends:\n{}", backend.entry("raw"));
    let first = Yard::start_in(directory.path(), &yaml, Keep::Catalog).await;
    let file = directory.path().join(".switchyard/catalog.json");
    eventually("a kept catalog", async || {
        std::fs::read_to_string(&file).ok().filter(|text| text.contains("1.50"))
    })
    .await;
    first.stop().await;
    let (another, gate) = gated().await;
    gate.send_replace(false);
    let yaml = format!("backends:\n{}", another.entry("raw"));
    let second = Yard::start_in(directory.path(), &yaml, Keep::Catalog).await;
    assert!(Client::modern(&second.url).tools().await.is_empty());
}

#[tokio::test]
async fn a_catalog_file_that_cannot_be_read_is_as_good_as_none() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".switchyard")).unwrap();
    std::fs::write(directory.path().join(".switchyard/catalog.json"), "{ \"cut sho").unwrap();
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yaml = format!("backends:\n{}", backend.entry("raw"));
    let yard = Yard::start_in(directory.path(), &yaml, Keep::Catalog).await;
    let client = Client::modern(&yard.url);
    eventually("the backend's tool", async || (client.tools().await == ["raw__echo"]).then_some(())).await;
}
