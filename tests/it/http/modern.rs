//! Stateless requests whose headers and body disagree, or that ask for what is not there.

use reqwest::RequestBuilder;
use serde_json::Value;

use super::wire::empty;
use crate::support::client::MODERN;
use crate::support::{Client, Yard, within};

type Header = (&'static str, &'static str);

/// A request of a modern client, its headers and `_meta` as told.
fn request(client: &Client, headers: &[Header], method: &str, meta: &str) -> RequestBuilder {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{{"name":"x","_meta":{{{meta}}}}}}}"#
    );
    headers.iter().fold(client.post().body(body), |request, (name, value)| request.header(*name, *value))
}

fn meta(version: &str) -> String {
    format!(
        r#""io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}}"#
    )
}

async fn refused(request: RequestBuilder) -> (u16, Value) {
    let response = within("an answer", request.send()).await.unwrap();
    let status = response.status().as_u16();
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(answer["id"], "a");
    (status, answer["error"].clone())
}

const VERSION: Header = ("mcp-protocol-version", MODERN);
const LIST: Header = ("mcp-method", "tools/list");
const CALL: Header = ("mcp-method", "tools/call");

#[tokio::test]
async fn an_unknown_version_is_answered_with_those_that_are_spoken() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    let headers = [("mcp-protocol-version", "2031-01-01"), LIST];
    let (status, error) = refused(request(&client, &headers, "tools/list", &meta("2031-01-01"))).await;
    assert_eq!((status, &error["code"]), (400, &(-32022).into()));
    assert_eq!(error["data"]["requested"], "2031-01-01");
    assert_eq!(error["data"]["supported"], serde_json::json!([MODERN]));
}

#[tokio::test]
async fn headers_that_do_not_mirror_the_body_are_refused() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    let cases: [(&[Header], &str); 7] = [
        (&[VERSION], "tools/list"),
        (&[LIST], "tools/list"),
        (&[VERSION, CALL], "tools/list"),
        (&[("mcp-protocol-version", "2025-11-25"), LIST], "tools/list"),
        (&[VERSION, CALL], "tools/call"),
        (&[VERSION, CALL, ("mcp-name", "y")], "tools/call"),
        (&[VERSION, CALL, ("mcp-name", "x"), ("mcp-name", "x")], "tools/call"),
    ];
    for (headers, method) in cases {
        let (status, error) = refused(request(&client, headers, method, &meta(MODERN))).await;
        assert_eq!((status, &error["code"]), (400, &(-32020).into()), "{headers:?} for {method}");
    }
    let (_, error) = refused(request(
        &client,
        &[VERSION, CALL, ("mcp-name", "=?base64?eA==?=")],
        "tools/call",
        &meta(MODERN),
    ))
    .await;
    assert_eq!(error["code"], -32602, "a name may be encoded: it is unknown, not a mismatch");
}

#[tokio::test]
async fn what_every_request_must_say_is_required() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    let only_version = format!(r#""io.modelcontextprotocol/protocolVersion":"{MODERN}""#);
    for meta in ["", &only_version] {
        let (status, error) = refused(request(&client, &[VERSION, LIST], "tools/list", meta)).await;
        assert_eq!((status, &error["code"]), (400, &(-32602).into()), "{meta}");
    }
}

#[tokio::test]
async fn methods_of_the_other_era_are_not_found() {
    let yard = empty().await;
    let client = Client::modern(&yard.url);
    for method in ["ping", "logging/setLevel", "resources/subscribe", "no/such"] {
        let (status, error) =
            refused(request(&client, &[VERSION, ("mcp-method", method)], method, &meta(MODERN))).await;
        assert_eq!((status, &error["code"]), (404, &(-32601).into()), "{method}");
    }
    let legacy = Client::legacy(&yard.url).await;
    assert_eq!(legacy.ask("no/such", "").await.error_value()["code"], -32601);
    assert!(legacy.ask("ping", "").await.result.is_some());
}

#[tokio::test]
async fn lists_and_discovery_carry_what_this_revision_requires() {
    let yard: Yard = empty().await;
    let client = Client::modern(&yard.url);
    for method in
        ["server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"]
    {
        let result = client.ask(method, "").await.result_value();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{method}: {result}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "switchyard", "{method}");
    }
}
