//! Sessions of the legacy era: opened by `initialize`, ended by DELETE, unknown to all but their owner.

use http::{Method, StatusCode};

use super::wire::empty;
use crate::support::client::Events;
use crate::support::{Client, Yard, within};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

async fn status(request: reqwest::RequestBuilder) -> StatusCode {
    within("an answer", request.send()).await.unwrap().status()
}

#[tokio::test]
async fn a_version_that_is_known_is_agreed_on_and_any_other_gets_the_newest() {
    let yard = empty().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{asked}","capabilities":{{}},"clientInfo":{{"name":"t","version":"0"}}}}}}"#
        );
        let post = http.post(&yard.url).header("content-type", "application/json").body(body);
        let response = within("an answer", post.send()).await.unwrap();
        assert!(response.headers().contains_key("mcp-session-id"));
        let answer = Events::of(response).next().await.unwrap().result_value();
        assert_eq!(answer["protocolVersion"], agreed);
        assert_eq!(answer["serverInfo"]["name"], "switchyard");
    }
}

#[tokio::test]
async fn a_request_without_session_or_of_one_that_is_unknown_is_refused() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    assert_eq!(status(client.post().body(PING)).await, 400);
    assert_eq!(status(client.post().header("mcp-session-id", "guessed").body(PING)).await, 404);
    let batch = client.post().header("mcp-session-id", "guessed").body(format!("[{PING}]"));
    assert_eq!(status(batch).await, 404, "what tells a client to begin anew");
    assert_eq!(status(client.verb(Method::GET).header("mcp-session-id", "guessed")).await, 404);
    assert_eq!(status(client.verb(Method::DELETE).header("mcp-session-id", "guessed")).await, 404);
}

#[tokio::test]
async fn a_deleted_session_is_gone_and_its_stream_ends() {
    let yard = empty().await;
    let client = Client::legacy(&yard.url).await;
    let get = client.verb(Method::GET).header("accept", "text/event-stream");
    let mut stream = Events::of(within("the stream", get.send()).await.unwrap());
    assert_eq!(status(client.post().body(PING)).await, 200);
    assert_eq!(status(client.verb(Method::DELETE)).await, 204);
    assert!(stream.next().await.is_none());
    assert_eq!(status(client.post().body(PING)).await, 404);
    assert_eq!(status(client.verb(Method::DELETE)).await, 404);
}

#[tokio::test]
async fn a_session_speaks_the_version_it_was_opened_with() {
    let yard = empty().await;
    let client = Client::legacy(&yard.url).await;
    let other = Client::modern(&yard.url).post().header("mcp-session-id", client.session());
    assert_eq!(status(other.header("mcp-protocol-version", "2025-03-26").body(PING)).await, 400);
    let silent = Client::modern(&yard.url).post().header("mcp-session-id", client.session());
    assert_eq!(status(silent.body(PING)).await, 200, "the header may be left out");
}

#[tokio::test]
async fn sessions_beyond_the_bound_are_refused_and_the_open_ones_stay() {
    let yard = Yard::start("server: { limits: { sessions: 1 } }\nbackends: {}\n").await;
    let client = Client::legacy(&yard.url).await;
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    let second = within("an answer", Client::modern(&yard.url).post().body(initialize).send()).await.unwrap();
    assert_eq!(second.status(), 503);
    assert!(second.headers().contains_key("retry-after"));
    assert_eq!(status(client.post().body(PING)).await, 200);
}
