//! The first start of a gateway: lists and handshakes wait for backends that nothing is known of, once and bounded.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, within};

const TOOLS: &str = r#"[{"name":"t","inputSchema":{"type":"object"}}]"#;

/// A backend that answers nothing before `gate` is opened.
async fn slow(gate: &Arc<Semaphore>) -> RawBackend {
    let gate = Arc::clone(gate);
    RawBackend::start(Speaks::Legacy, TOOLS, move |_| {
        let gate = Arc::clone(&gate);
        Some(Answer::later(async move {
            gate.acquire().await.unwrap().forget();
            Answer::Ordinary
        }))
    })
    .await
}

fn with_wait(wait: &str, backends: &str) -> String {
    format!("catalog: {{ first_list_wait: {wait} }}\nbackends:\n{backends}")
}

#[tokio::test]
async fn the_first_lists_of_both_eras_and_a_call_wait_for_the_first_attempt() {
    let gate = Arc::new(Semaphore::new(0));
    let backend = slow(&gate).await;
    let yard = Yard::start_cold(&with_wait("20s", &backend.entry("raw"))).await;
    let modern = Client::modern(&yard.url);
    let listed = async { (modern.tools().await, Client::legacy(&yard.url).await.tools().await) };
    let called = async { modern.call("raw__t", "{}").await.result_value() };
    let opened = async {
        while backend.asked("").is_empty() && backend.asked("server/discover").is_empty() {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1_000);
    };
    let ((one, other), called, ()) =
        within("the lists", async { tokio::join!(listed, called, opened) }).await;
    assert_eq!((one, other), (vec!["raw__t".to_owned()], vec!["raw__t".to_owned()]));
    assert!(called["isError"].is_null(), "{called}");
}

#[tokio::test]
async fn a_backend_that_does_not_answer_costs_the_first_list_its_wait_and_no_other() {
    let (gate, ready) =
        (Arc::new(Semaphore::new(0)), RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await);
    let silent = slow(&gate).await;
    let entries = format!("{}{}", silent.entry("silent"), ready.entry("ready"));
    let yard = Yard::start_cold(&with_wait("300ms", &entries)).await;
    // The first list sets the deadline for all others: by then only the silent one is missing.
    yard.until("ready", "ready").await;
    let client = Client::modern(&yard.url);
    assert_eq!(within("a list", client.tools()).await, ["ready__t"]);
    assert!(yard.router.settling(None).is_none(), "no list waits after the first");
    let failure = &client.call("silent__t", "{}").await.error_value()["data"];
    assert_eq!(failure["error"], "backend_unavailable");
    assert!(failure["message"].as_str().unwrap().contains("still starting"), "{failure}");
}

#[tokio::test]
async fn nothing_waits_if_the_operator_says_so_or_everything_was_reached() {
    let gate = Arc::new(Semaphore::new(0));
    let backend = slow(&gate).await;
    let yard = Yard::start_cold(&with_wait("0s", &backend.entry("raw"))).await;
    assert!(yard.router.settling(None).is_none());
    assert!(within("a list", Client::modern(&yard.url).tools()).await.is_empty());
    gate.add_permits(1_000);
    yard.until("raw", "ready").await;
    let other = Yard::of(&backend.entry("raw")).await;
    assert!(other.router.settling(None).is_none());
}
