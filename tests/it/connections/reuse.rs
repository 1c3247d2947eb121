//! Does a connection to a backend serve another call after a stream?

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"t","inputSchema":{"type":"object"}}]"#;

#[tokio::test]
async fn a_connection_is_used_again_although_its_stream_ended_after_the_answer() {
    let open = Arc::new(Mutex::new(Vec::new()));
    let streams = Arc::clone(&open);
    let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let id = asked.message.id.as_ref().filter(|_| asked.message.method == "tools/call")?;
        let (sender, events) = mpsc::channel(1);
        sender.try_send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#)).unwrap();
        streams.lock().push(sender);
        Some(Answer::Events(events))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url);
    let mut seen = Vec::new();
    eventually("a call on a connection that had one before", async || {
        client.call("raw__t", "{}").await.result_value();
        // Only now, when its answer has long been taken, the stream ends.
        open.lock().clear();
        let connection = backend.asked("tools/call").last().unwrap().connection;
        let is_known = seen.contains(&connection);
        seen.push(connection);
        is_known.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_notification_leaves_its_connection_to_the_next_message() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    Client::legacy(&yard.url).await.call("raw__t", "{}").await.result_value();
    let connection_of = |method| backend.asked(method).first().unwrap().connection;
    assert_eq!(connection_of("notifications/initialized"), connection_of("tools/list"));
}
