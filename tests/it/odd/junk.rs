//! A server that says other things beside its messages.

use tokio::sync::mpsc;

use crate::support::message::{notification, result};
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

async fn called(speaks: Speaks, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) {
    let backend = RawBackend::start(speaks, TOOLS, move |asked: &Asked| {
        let is_call = asked.message.method == "tools/call";
        is_call.then(|| answer(asked.message.id.as_deref().unwrap()))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
        let answer = client.call("raw__echo", "{}").await;
        assert!(answer.result_value()["content"].is_array(), "{answer:?}");
    }
}

#[tokio::test]
async fn events_that_are_no_messages_are_passed_over() {
    let list_changed = notification("notifications/tools/list_changed", "{}");
    for junk in ["ready", "{}", "[1,2]", "[]", r#"{"jsonrpc":"2.0"}"#, "{\"id\":", "null", &list_changed] {
        for speaks in [Speaks::Legacy, Speaks::Modern] {
            let junk = junk.to_owned();
            called(speaks, move |id| {
                let (events, stream) = mpsc::channel(3);
                for text in [junk.clone(), result(id, r#"{"content":[]}"#), junk.clone()] {
                    events.try_send(text).unwrap();
                }
                Answer::Events(stream)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_stands_around_a_message_in_a_body_is_passed_over() {
    let around: [fn(&str) -> String; 6] = [
        |message| format!("\u{feff}{message}"),
        |message| format!("<b>Warning</b>: something\n{message}\n"),
        |message| format!("{message}\r\n\r\nbye"),
        |message| format!("\n\n{{}}\n{message}\n[1]\n"),
        |message| format!("[5,{message},\"x\"]"),
        |message| message.replace(r#""result""#, r#""error":null,"result":{"content":[NaN]},"result""#),
    ];
    for around in around {
        called(Speaks::Legacy, move |id| Answer::Http(200, around(&result(id, r#"{"content":[]}"#)))).await;
    }
}
