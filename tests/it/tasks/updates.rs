//! Clients that listen for their tasks are told how they stand.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::FOLLOWS;
use super::legacy::{Plot, digging};
use super::relay::{DISCOVERED, STANDING, TOOLS};
use crate::support::client::Events;
use crate::support::message::notification;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, within};

const TOLD: &str = "notifications/tasks";

type Stream = Arc<Mutex<Option<mpsc::Sender<String>>>>;

/// A modern backend that makes the task `t/1`, agrees to tell of it, and tells what the test sends.
async fn telling() -> (RawBackend, Stream) {
    let stream = Stream::default();
    let open = Arc::clone(&stream);
    let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let message = &asked.message;
        let text = match message.method.as_str() {
            "server/discover" => DISCOVERED.to_owned(),
            "tools/call" => {
                format!(r#"{{"resultType":"task","taskId":"t/1","status":"working",{STANDING}}}"#)
            }
            "subscriptions/listen" => {
                let (sender, events) = mpsc::channel(4);
                let accepted = message.param("notifications")?;
                let meta =
                    format!(r#"{{"io.modelcontextprotocol/subscriptionId":{}}}"#, message.id.as_deref()?);
                let params = format!(r#"{{"_meta":{meta},"notifications":{accepted}}}"#);
                let acknowledged = notification("notifications/subscriptions/acknowledged", &params);
                sender.try_send(acknowledged).unwrap();
                *open.lock() = Some(sender);
                return Some(Answer::Events(events));
            }
            _ => return None,
        };
        Some(Answer::Result(text))
    })
    .await;
    (backend, stream)
}

/// Listens for `tasks`, the text of an array, and what of it is honoured.
async fn listen(client: &Client, tasks: &str) -> (Events, String) {
    let filter = format!(r#""notifications":{{"taskIds":{tasks}}}"#);
    let listening = client.request("\"s\"", "subscriptions/listen", &filter, "");
    let mut stream = Events::of(within("a stream", listening.send()).await.unwrap());
    let acknowledged = stream.next().await.unwrap();
    assert_eq!(acknowledged.method, "notifications/subscriptions/acknowledged");
    (stream, acknowledged.param("notifications").unwrap())
}

#[tokio::test]
async fn a_task_of_a_modern_backend_is_told_of_under_the_id_its_client_knows() {
    let (backend, stream) = telling().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    let id = client.call("raw__dig", "{}").await.result_of("taskId").unwrap();
    let (mut told, honoured) = listen(&client, &format!(r#"[{id},"t/1"]"#)).await;
    assert_eq!(honoured, format!(r#"{{"taskIds":[{id}]}}"#));
    let listened = backend.asked("subscriptions/listen").pop().unwrap().message;
    assert_eq!(listened.param("notifications").as_deref(), Some(r#"{"taskIds":["t/1"]}"#));
    assert!(listened.param("_meta").unwrap().contains("io.modelcontextprotocol/tasks"));

    let params = |id: &str, meta: &str| {
        format!(r#"{{"taskId":{id},"status":"completed",{STANDING},"result":{{"n":1.50}}{meta}}}"#)
    };
    let sender = stream.lock().clone().unwrap();
    sender.send(notification(TOLD, &params(r#""another""#, ""))).await.unwrap();
    sender.send(notification(TOLD, &params(r#""t/1""#, ""))).await.unwrap();
    let message = told.next().await.unwrap();
    assert_eq!(message.method, TOLD);
    let meta = r#","_meta":{"io.modelcontextprotocol/subscriptionId":"s"}"#;
    assert_eq!(message.params, Some(params(&id, meta)));
}

#[tokio::test]
async fn a_task_of_2025_is_told_of_too_and_nobody_elses() {
    let backend = digging(Plot::Asks).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    let id = client.call("raw__dig", "{}").await.result_of("taskId").unwrap();
    let (mut told, honoured) = listen(&client, &format!("[{id}]")).await;
    assert_eq!(honoured, format!(r#"{{"taskIds":[{id}]}}"#));
    let (_, honoured) = listen(&Client::modern(&yard.url), &format!("[{id}]")).await;
    assert_eq!(honoured, "{}", "this one did not declare tasks");
    loop {
        let message = told.next().await.unwrap();
        assert_eq!((message.method.as_str(), message.param("taskId").as_ref()), (TOLD, Some(&id)));
        match message.param("status").as_deref() {
            Some(r#""input_required""#) => break assert!(message.param("inputRequests").is_some()),
            status => assert_eq!(status, Some(r#""working""#)),
        }
    }
}
