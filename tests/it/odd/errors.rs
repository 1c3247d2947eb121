//! A server whose errors are no error objects.

use crate::support::gateway::raw_stdio_entry;
use crate::support::message::error;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"error","inputSchema":{"type":"object"}}]"#;

/// What a server says, and what a client is told.
const TABLE: [(&str, &str); 6] = [
    (r#""boom""#, r#"{"code":-32603,"message":"boom"}"#),
    (r#"{"code":-32000}"#, r#"{"code":-32000,"message":"the server gave no reason","data":{"code":-32000}}"#),
    (
        r#"{"code":"E_QUOTA","message":"boom"}"#,
        r#"{"code":-32603,"message":"boom","data":{"code":"E_QUOTA","message":"boom"}}"#,
    ),
    (r#"{"code":1.0,"message":"boom"}"#, r#"{"code":1,"message":"boom"}"#),
    ("null", r#"{"code":-32603,"message":"the server gave no reason"}"#),
    (r#"{ "code":-31999, "message":"boom" }"#, r#"{ "code":-31999, "message":"boom" }"#),
];

async fn told_of_each(yard: &Yard) {
    for (said, told) in TABLE {
        for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
            let answer = client.call("raw__error", said).await;
            assert_eq!(answer.error.as_deref(), Some(told), "{said}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn whatever_a_server_says_for_an_error_over_http_the_client_gets_an_error_object() {
    for (speaks, status) in [(Speaks::Legacy, 200), (Speaks::Modern, 200), (Speaks::Modern, 400)] {
        let backend = RawBackend::start(speaks, TOOLS, move |asked| {
            let said = asked.message.param("arguments")?;
            Some(Answer::Http(status, error(asked.message.id.as_deref()?, &said)))
        })
        .await;
        let yard = Yard::of(&backend.entry_with("raw", "breaker: { failures: 100, min_calls: 100 }")).await;
        told_of_each(&yard).await;
    }
}

#[tokio::test]
async fn whatever_a_server_says_for_an_error_on_a_pipe_the_client_gets_an_error_object() {
    let yard =
        Yard::of(&raw_stdio_entry("raw", "legacy", "breaker: { failures: 100, min_calls: 100 }")).await;
    told_of_each(&yard).await;
}
