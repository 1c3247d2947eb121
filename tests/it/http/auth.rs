//! Who may call, and what belongs to whom.

use http::Method;
use switchyard::server::new_token;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, within};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

/// A gateway for two clients, and their tokens.
async fn guarded(entries: &str) -> (Yard, String, String) {
    let ((ann, ann_hash), (bob, bob_hash)) = (new_token().unwrap(), new_token().unwrap());
    let clients =
        format!("clients:\n  ann: {{ token_sha256: {ann_hash} }}\n  bob: {{ token_sha256: {bob_hash} }}\n");
    (Yard::start(&format!("{clients}backends:\n{entries}")).await, ann, bob)
}

#[tokio::test]
async fn without_a_known_token_nothing_is_served() {
    let (yard, ann, _) = guarded("  {}\n").await;
    let client = Client::modern(&yard.url);
    let refused = within("an answer", client.request("1", "tools/list", "", "").send()).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    let wrong = Client::modern(&yard.url).with_token("sy_wrong");
    let refused = within("an answer", wrong.request("1", "tools/list", "", "").send()).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
    assert!(!refused.text().await.unwrap().contains("sy_wrong"));
    let known = Client::modern(&yard.url).with_token(&ann);
    assert_eq!(known.ask("tools/list", "").await.result_value()["cacheScope"], "private");
}

#[tokio::test]
async fn a_session_of_another_principal_is_as_unknown_as_none() {
    let (yard, ann, bob) = guarded("  {}\n").await;
    let anns = Client::modern(&yard.url).with_token(&ann).open("2025-11-25").await;
    let bobs = Client::modern(&yard.url).with_token(&bob);
    for verb in [Method::POST, Method::GET, Method::DELETE] {
        let request = bobs.verb(verb.clone()).header("mcp-session-id", anns.session());
        let request = request.header("content-type", "application/json").body(PING);
        assert_eq!(within("an answer", request.send()).await.unwrap().status(), 404, "{verb}");
    }
    assert!(anns.ask("ping", "").await.result.is_some(), "it is still there for its owner");
}

#[tokio::test]
async fn a_clients_token_stops_at_the_gateway_and_the_operators_header_goes_on() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let shown = asked.headers.get("authorization")?.to_str().ok()?.to_owned();
        (asked.message.method == "tools/call")
            .then(|| Answer::Result(format!(r#"{{"content":[],"shown":"{shown}"}}"#)))
    })
    .await;
    let (yard, ann, _) =
        guarded(&backend.entry_with("raw", "headers: { Authorization: Bearer for-the-backend }")).await;
    let client = Client::modern(&yard.url).with_token(&ann);
    assert_eq!(client.call("raw__echo", "{}").await.result_value()["shown"], "Bearer for-the-backend");
    let headers = format!("{:?}", backend.asked("tools/call").pop().unwrap().headers);
    assert!(!headers.contains(&ann), "{headers}");
}
