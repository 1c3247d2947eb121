//! A backend that speaks other versions than it did when the gateway connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::message::error;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"book","inputSchema":{"type":"object"}}]"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}"#;

/// Modern until it is turned; then it refuses what is modern, offering `supported`, and takes sessions.
async fn turning(supported: &'static str) -> (RawBackend, Arc<AtomicBool>) {
    let turned = Arc::new(AtomicBool::new(false));
    let is_turned = Arc::clone(&turned);
    let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        if !is_turned.load(Ordering::SeqCst) {
            return None;
        }
        let is_modern = asked.headers.get("mcp-protocol-version").is_some_and(|v| v == "2026-07-28");
        match asked.message.method.as_str() {
            "initialize" => Some(Answer::Result(INITIALIZED.to_owned())),
            _ if is_modern => {
                let told = format!(r#"{{"code":-32022,"message":"no","data":{{"supported":{supported},"requested":"2026-07-28"}}}}"#);
                Some(Answer::Http(400, error(asked.message.id.as_ref()?, &told)))
            }
            _ => None,
        }
    })
    .await;
    (backend, turned)
}

#[tokio::test]
async fn a_call_refused_for_its_version_is_made_once_more_in_one_that_is_offered() {
    let (backend, turned) = turning(r#"["2025-11-25"]"#).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    turned.store(true, Ordering::SeqCst);
    let answer = Client::modern(&yard.url).call("raw__book", r#"{"n":1.0}"#).await;
    assert_eq!(answer.result_of("content").as_deref(), Some("[]"), "{answer:?}");
    let calls = backend.asked("tools/call");
    let [first, second] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert!(!first.headers.contains_key("mcp-session-id"));
    assert_eq!(second.headers["mcp-session-id"], "session-1");
    assert_eq!(first.message.param("arguments"), second.message.param("arguments"));
}

#[tokio::test]
async fn a_call_is_made_once_more_and_no_more_where_its_own_version_is_offered() {
    let (backend, turned) = turning(r#"["2026-07-28"]"#).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    turned.store(true, Ordering::SeqCst);
    let answer = Client::modern(&yard.url).call("raw__book", "{}").await;
    assert_eq!(answer.error_value()["code"], -32603, "{answer:?}");
    assert_eq!(backend.asked("tools/call").len(), 2);
    assert_eq!(yard.backend("raw").snapshot.state, "ready");
}

#[tokio::test]
async fn a_call_is_not_repeated_in_versions_that_nobody_here_speaks() {
    let (backend, turned) = turning(r#"["2031-01-01"]"#).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    turned.store(true, Ordering::SeqCst);
    let answer = Client::modern(&yard.url).call("raw__book", "{}").await;
    assert_eq!(answer.error_value()["code"], -32603, "{answer:?}");
    assert_eq!(backend.asked("tools/call").len(), 1);
}
