//! Bodies that are too large, no JSON, or no message.

use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wire::{empty, send_bytes};
use crate::support::client::LEGACY;
use crate::support::process::Serving;
use crate::support::{Client, Yard, within};

async fn posted(client: &Client, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let response = within("an answer", client.post().body(body).send()).await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let yard = Yard::start("server: { limits: { body_bytes: 2048 } }\nbackends: {}\n").await;
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let announced = format!("{head}Content-Length: 2049\r\n\r\n");
    assert_eq!(send_bytes(&yard, announced.as_bytes()).await.status, 413, "before a byte of it was sent");
    let chunk = format!("800\r\n{}\r\n", " ".repeat(0x800));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    assert_eq!(send_bytes(&yard, chunked.as_bytes()).await.status, 413);
    let client = Client::modern(&yard.url);
    let (status, answer) = posted(&client, format!("{}1", " ".repeat(2047))).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &(-32600).into()), "at the limit it is read");
}

#[tokio::test]
async fn what_is_no_json_or_no_message_is_refused_with_its_code() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x"} trailing"#, -32700),
        ("17", -32600),
        (r#"{"id":1,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#, -32600),
        (deep.as_str(), -32600),
    ] {
        let (status, answer) = posted(&client, body.to_owned()).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &code.into()), "{body}");
        assert!(answer["error"]["data"]["request_id"].is_string(), "{answer}");
    }
    let (status, answer) = posted(&client, &b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"[..]).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &(-32700).into()));
}

#[tokio::test]
async fn a_body_that_is_not_declared_json_or_wants_another_answer_is_refused() {
    let yard = empty().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |content_type: &'static str, accept: &'static str| {
        let request = http.post(&yard.url).header("content-type", content_type).header("accept", accept);
        request.body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).send()
    };
    assert_eq!(post("text/plain", "*/*").await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post("application/json", "text/html").await.unwrap().status(), StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn batches_are_answered_in_the_one_revision_that_has_them() {
    let yard = empty().await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"b","method":"tools/list"},7]"#;
    let client = Client::modern(&yard.url).open("2025-03-26").await;
    let (status, answers) = posted(&client, batch).await;
    assert_eq!(status, 200);
    let answers = answers.as_array().unwrap();
    let of = |id: Value| answers.iter().find(|answer| answer["id"] == id);
    assert_eq!(answers.len(), 3, "two answers and a refusal: {answers:?}");
    assert!(of(1.into()).is_some_and(|answer| answer["result"].is_object()));
    assert!(of("b".into()).is_some_and(|answer| answer["result"]["tools"].is_array()));
    let (status, answer) = posted(&client, "[]").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &(-32600).into()));
    let (status, _) = posted(&client, r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).await;
    assert_eq!(status, 202);
    for client in [Client::modern(&yard.url).open(LEGACY).await, Client::modern(&yard.url)] {
        let (status, answer) = posted(&client, batch).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &(-32600).into()));
    }
}

/// A POST that announces `length` bytes and sends none of them.
async fn announced(authority: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_on_its_way_does_not_hold_up_the_drain() {
    let yard = empty().await;
    let mut stream = announced(yard.authority(), 100).await;
    stream.write_all(b"{\"jsonrpc\"").await.unwrap();
    yard.stop().await;
    let answer = rest(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn large_bodies_beyond_the_bound_on_memory_are_refused_and_small_ones_are_not() {
    const BOUND: usize = 16 * 1024 * 1024;
    let directory = tempfile::tempdir().unwrap();
    let limits = format!("limits: {{ body_bytes: {BOUND}, buffered_bytes: {BOUND} }}");
    let config = format!(
        "server: {{ listen: \"127.0.0.1:0\", {limits} }}\nadmin: {{ enabled: false }}\nbackends: {{}}\n"
    );
    std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
    let serving = Serving::start(directory.path(), &["serve"]);
    let url = serving.said("endpoint").await;
    let authority = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let mut whole = announced(authority, BOUND).await;
    whole.write_all(&[b' '; 1024]).await.unwrap();
    // The other may come to its turn first; between the two, one has no room.
    let other = announced(authority, BOUND).await;
    let refused = tokio::select! {
        refused = rest(other) => refused,
        refused = rest(whole) => refused,
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.to_ascii_lowercase().contains("retry-after"), "{refused}");
    let client = Client::modern(&url);
    assert!(client.ask("server/discover", "").await.result.is_some(), "small ones are served");
}
