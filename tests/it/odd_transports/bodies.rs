//! What stands before, after and between messages.

use tokio::sync::mpsc;

use super::{TOOLS, call};
use crate::support::message::result;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const PROGRESS: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;

#[tokio::test]
async fn a_message_is_found_in_a_body_among_what_is_none() {
    let noisy: [fn(&str) -> String; 6] = [
        |answer| format!("\u{feff}{answer}"),
        |answer| format!("\n\n{answer}\n\n"),
        |answer| format!("<br />Warning: division by zero\n{answer}\n<!-- 0.2 s -->"),
        |answer| format!("{PROGRESS}\n{answer}\n"),
        |answer| format!("[17,{PROGRESS},{{}},{answer}]"),
        |answer| format!("{{\"level\":30}}\n{answer}{PROGRESS}"),
    ];
    for noise in noisy {
        let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
            let id = asked.message.id.as_deref()?;
            (asked.message.method == "tools/call")
                .then(|| Answer::Http(200, noise(&result(id, r#"{"content":[]}"#))))
        })
        .await;
        call(&Yard::of(&backend.entry("raw")).await).await;
    }
}

#[tokio::test]
async fn events_that_are_no_messages_are_skipped() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let id = asked.message.id.as_deref()?;
        let (events, stream) = mpsc::channel(8);
        for event in [
            ": comment\n\n".to_owned(),
            "data: ping\n\n".to_owned(),
            "event: ping\ndata: {}\n\n".to_owned(),
            "data: {\"jsonrpc\":\"1.0\",\"id\":7}\n\n".to_owned(),
            format!("data: [5,{PROGRESS}]\n\n"),
            format!("data: {}\n\n", result(id, r#"{"content":[]}"#)),
        ] {
            events.try_send(event).unwrap();
        }
        (asked.message.method == "tools/call").then_some(Answer::Stream(stream))
    })
    .await;
    call(&Yard::of(&backend.entry("raw")).await).await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_call_at_once() {
    let (keep, _open) = mpsc::channel::<mpsc::Sender<String>>(8);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let id = asked.message.id.as_deref()?;
        let (events, stream) = mpsc::channel(8);
        events
            .try_send(format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"x\":oops}}}}\n\n"))
            .unwrap();
        (asked.message.method == "tools/call").then(|| {
            keep.try_send(events).unwrap();
            Answer::Stream(stream)
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
    assert!(failure["message"].as_str().unwrap().contains("no MCP message"), "{failure}");
}
