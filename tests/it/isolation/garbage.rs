//! A backend whose answers are none, or more than one.

use tokio::sync::mpsc;

use crate::support::gateway::raw_stdio_entry;
use crate::support::message::{notification, result};
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

/// A backend that answers every call the same way.
async fn scene(
    speaks: Speaks,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> (RawBackend, Yard) {
    let backend = RawBackend::start(speaks, TOOLS, move |asked| {
        let is_call = asked.message.method == "tools/call";
        is_call.then(|| answer(asked.message.id.as_deref().unwrap()))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    (backend, yard)
}

/// These messages as an event stream that then ends.
fn events(messages: Vec<String>) -> Answer {
    let (events, stream) = mpsc::channel(messages.len() + 1);
    for message in messages {
        events.try_send(message).unwrap();
    }
    Answer::Events(stream)
}

#[tokio::test]
async fn an_answer_that_is_none_ends_the_call_with_a_reason() {
    for text in ["", "not json", "{}", "[]", "17", r#"{"jsonrpc":"2.0","id":424242,"result":{}}"#] {
        let (_backend, yard) = scene(Speaks::Modern, |_| Answer::Http(200, text.to_owned())).await;
        let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
        assert_eq!(failure["error"], "tool_error", "{text}: {failure}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_early_is_a_lost_call() {
    let progress = notification("notifications/progress", r#"{"progressToken":1,"progress":1}"#);
    for messages in [vec![], vec![progress]] {
        let (backend, yard) = scene(Speaks::Legacy, move |_| events(messages.clone())).await;
        let failure = Client::legacy(&yard.url).await.call("raw__echo", "{}").await.failure();
        assert_eq!(failure["error"], "backend_lost");
        assert_eq!(backend.asked("tools/call").len(), 1, "it may have run: it is not sent again");
    }
}

#[tokio::test]
async fn a_connection_that_ends_instead_of_an_answer_loses_the_call_which_is_not_sent_again() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let (backend, yard) = scene(speaks, |_| Answer::HangUp).await;
        let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
        assert_eq!(failure["error"], "backend_lost");
        assert!(failure["message"].as_str().unwrap().contains("may have run"), "{failure}");
        assert_eq!(backend.asked("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn of_many_answers_the_first_that_fits_counts() {
    let (_backend, yard) = scene(Speaks::Modern, |id| {
        events(vec![
            result("424242", r#"{"content":[],"n":0}"#),
            result(id, r#"{"content":[],"n":1}"#),
            result(id, r#"{"content":[],"n":2}"#),
        ])
    })
    .await;
    let client = Client::modern(&yard.url);
    let messages =
        client.exchange(client.request("1", "tools/call", r#""name":"raw__echo","arguments":{}"#, "")).await;
    let [answer] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(answer.result_value()["n"], 1);
}

#[tokio::test]
async fn a_refusal_of_the_gateways_credentials_says_so_and_quotes_nothing() {
    let told = [
        (401, "not_connected", "run `switchyard connect raw`"),
        (403, "backend_unavailable", "does not accept the gateway's credentials"),
    ];
    for (status, error, advice) in told {
        let refusal = move |_: &str| Answer::Http(status, "token s3cret is wrong".to_owned());
        let (_backend, yard) = scene(Speaks::Modern, refusal).await;
        let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
        assert_eq!(failure["error"], error);
        assert!(failure["message"].as_str().unwrap().contains(advice), "{failure}");
        assert!(!failure.to_string().contains("s3cret"));
    }
}

#[tokio::test]
async fn an_error_with_a_refusing_status_is_the_backends_own_answer() {
    let (_backend, yard) = scene(Speaks::Modern, |id| {
        Answer::Http(400, crate::support::message::error(id, r#"{"code":-32602,"message":"no","data":1.0}"#))
    })
    .await;
    for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
        let error = client.call("raw__echo", "{}").await.error;
        assert_eq!(error.as_deref(), Some(r#"{"code":-32602,"message":"no","data":1.0}"#));
    }
}

#[tokio::test]
async fn noise_on_a_pipe_and_a_second_answer_are_passed_over() {
    let yard = Yard::of(&raw_stdio_entry("raw", "legacy", "")).await;
    let client = Client::modern(&yard.url);
    for n in 0..20 {
        let answer = client.call("raw__noise", &n.to_string()).await.result_value();
        assert_eq!(answer["echo"], n);
    }
    assert_eq!(yard.backend("raw").snapshot.restarts, 0);
}

#[tokio::test]
async fn a_refusal_that_says_why_is_quoted_on_one_line() {
    let told = [
        (400, r#"{"error":"tenant \u001b[2J unknown"}"#, "it says: tenant \\u{1b}[2J unknown"),
        (413, "<html><head><title>413 Too Large</title></head></html>", "it says: 413 Too Large"),
        (422, r#"{"detail":[{"msg":"field required"}]}"#, "it says: field required"),
        (503, "maintenance until noon\nmore", "it says: maintenance until noon"),
    ];
    for (status, body, reason) in told {
        let refusal = move |_: &str| Answer::Http(status, body.to_owned());
        let (_backend, yard) = scene(Speaks::Legacy, refusal).await;
        let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(reason) && !message.contains("more"), "{failure}");
    }
}
