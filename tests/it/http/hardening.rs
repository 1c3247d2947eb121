//! Requests that two readers could understand differently, and those of foreign pages.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wire::{empty, send};
use crate::support::{Client, Yard, within};

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;

/// A POST with these lines after the request line, on a connection that ends with it.
fn post(lines: &str) -> String {
    let length = BODY.len();
    format!(
        "POST /mcp HTTP/1.1\n{lines}Content-Type: application/json\nContent-Length: {length}\nConnection: close\n\n{BODY}"
    )
}

async fn status(yard: &Yard, lines: &str) -> u16 {
    send(yard, &post(lines)).await.status
}

#[tokio::test]
async fn a_request_has_exactly_one_host_and_it_is_the_gateways() {
    let yard = empty().await;
    let own = yard.authority().to_owned();
    let read = send(&yard, &post(&format!("Host: {own}\n"))).await.body;
    assert!(read.contains("-32602"), "{read}");
    assert_eq!(status(&yard, "").await, 400);
    assert_eq!(status(&yard, &format!("Host: {own}\nHost: {own}\n")).await, 400);
    assert_eq!(status(&yard, &format!("Host: {own}\nHost: evil.example\n")).await, 400);
    assert_eq!(status(&yard, "Host: evil.example\n").await, 403);
    assert_eq!(status(&yard, "Host: localhost.evil.example\n").await, 403);
    let absolute = post("Host: localhost\n").replace("POST /mcp", "POST http://evil.example/mcp");
    assert_eq!(send(&yard, &absolute).await.status, 400);
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused_and_a_local_one_may_read_the_answer() {
    let yard = empty().await;
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        let refused = send(&yard, &post(&format!("Host: localhost\nOrigin: {origin}\n"))).await;
        assert_eq!(refused.status, 403, "{origin}");
        assert!(!refused.head.contains("access-control-allow-origin"), "{}", refused.head);
    }
    let answered = send(&yard, &post("Host: localhost\nOrigin: http://localhost:6274\n")).await;
    assert!(
        answered.head.contains("access-control-allow-origin: http://localhost:6274"),
        "{}",
        answered.head
    );
}

#[tokio::test]
async fn framing_that_hides_a_second_request_is_refused() {
    let yard = empty().await;
    for encoding in ["gzip, chunked", "identity", "chunked, chunked"] {
        let text = format!(
            "POST /mcp HTTP/1.1\nHost: localhost\nContent-Type: application/json\nTransfer-Encoding: {encoding}\n\n0\n\n"
        );
        assert_eq!(send(&yard, &text).await.status, 400, "{encoding}");
    }
    let hidden = "GET /smuggled HTTP/1.1\nHost: localhost\n\n";
    let text = format!(
        "POST /mcp HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n{hidden}"
    );
    let answered = send(&yard, &text).await;
    assert_eq!(
        answered.body.matches("HTTP/1.1 ").count(),
        0,
        "a second request was answered: {}",
        answered.body
    );
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there_are_named() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    let put = within("an answer", client.verb(http::Method::PUT).send()).await.unwrap();
    assert_eq!(put.status(), 405);
    assert_eq!(put.headers()["allow"], "POST, GET, DELETE, OPTIONS");
    for verb in [http::Method::GET, http::Method::DELETE] {
        let answered = within("an answer", client.verb(verb).send()).await.unwrap();
        assert_eq!(answered.status(), 405, "outside of a session");
    }
    let elsewhere = send(&yard, &post("Host: localhost\n").replace("/mcp", "/elsewhere")).await;
    assert_eq!(elsewhere.status, 404);
    assert!(elsewhere.body.contains("/mcp"), "{}", elsewhere.body);
}

#[tokio::test]
async fn a_request_line_and_headers_have_bounds() {
    let yard = empty().await;
    let long = format!("Host: localhost\nX-Long: {}\n", "x".repeat(64 * 1024));
    assert_eq!(status(&yard, &long).await, 431);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\n")).collect();
    assert_eq!(status(&yard, &format!("Host: localhost\n{many}")).await, 431);
}

#[tokio::test]
async fn a_client_that_drips_is_not_waited_for() {
    let limits = "server: { limits: { header_timeout: 1s, body_timeout: 1s } }";
    let yard = Yard::start(&format!("{limits}\nbackends: {{}}\n")).await;
    let mut stream = TcpStream::connect(yard.authority()).await.unwrap();
    stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let mut rest = Vec::new();
    within("the end of the connection", stream.read_to_end(&mut rest)).await.unwrap();
    let half =
        "POST /mcp HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 100\n\n{";
    let refused = send(&yard, half).await;
    assert_eq!(refused.status, 408);
    assert!(refused.head.contains("connection: close"), "{}", refused.head);
}
