//! A legacy backend wants a page visited before it does the work: each client hears of it in its own way.

use crate::support::client::LEGACY;
use crate::support::message::{error, result};
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"book","inputSchema":{"type":"object"}}]"#;
const CALL: &str = r#""name":"raw__book","arguments":{"n":1.0}"#;
const ABLE: &str = r#"{"elicitation":{"url":{}}}"#;
const VISIT: &str = r#"{"code":-32042,"message":"sign in","data":{"elicitations":[{"mode":"url","message":"Sign in","url":"https://a.example/1","elicitationId":"e1"}]}}"#;

/// Wants the page visited before its second call.
async fn backend() -> RawBackend {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let id = asked.message.id.as_ref().filter(|_| asked.message.method == "tools/call")?;
        let is_first = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let text = if is_first { error(id, VISIT) } else { result(id, r#"{"content":[]}"#) };
        Some(Answer::Http(200, text))
    })
    .await
}

#[tokio::test]
async fn a_modern_client_is_asked_to_visit_it_and_its_call_is_made_anew() {
    let backend = backend().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let told = client.ask("tools/call", CALL).await;
    assert_eq!(told.result_of("resultType").as_deref(), Some(r#""input_required""#), "{told:?}");
    assert!(told.result_of("inputRequests").unwrap().contains(r#""url":"https://a.example/1""#));
    let state = told.result_of("requestState").unwrap();
    let again = |action: &str| {
        format!(r#"{CALL},"inputResponses":{{"u1":{{"action":"{action}"}}}},"requestState":{state}"#)
    };
    let declined = client.ask("tools/call", &again("decline")).await;
    assert_eq!(declined.error_value()["code"], -32602);
    let done = client.ask("tools/call", &again("accept")).await;
    assert_eq!(done.result_of("content").as_deref(), Some("[]"), "{done:?}");
    let calls = backend.asked("tools/call");
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[1].message.param("inputResponses"), calls[1].message.param("requestState")),
        (None, None)
    );
    assert_eq!(calls[1].message.param("arguments").as_deref(), Some(r#"{"n":1.0}"#));
}

#[tokio::test]
async fn a_legacy_client_is_forwarded_the_error_if_it_opens_pages_and_told_in_text_if_not() {
    for able in [ABLE, "{}"] {
        let backend = backend().await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::modern(&yard.url).able(able).open(LEGACY).await;
        let told = client.ask("tools/call", CALL).await;
        match able {
            ABLE => assert_eq!(told.error.as_deref(), Some(VISIT)),
            _ => assert!(told.result_of("content").unwrap().contains("https://a.example/1"), "{told:?}"),
        }
    }
}
