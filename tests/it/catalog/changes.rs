//! A backend says that its list changed; clients hear of it once, and only if they would see it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::client::Events;
use crate::support::message::notification;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually, within};

const CHANGED: &str = "notifications/tools/list_changed";

/// A legacy backend whose tools the test sets, with an open stream to say so on.
struct Changing {
    backend: RawBackend,
    tools: Arc<Mutex<String>>,
    events: mpsc::Sender<String>,
}

impl Changing {
    async fn start() -> Self {
        let (tools, (events, stream)) = (Arc::new(Mutex::new(list(&["a"]))), mpsc::channel(16));
        let (listed, stream) = (Arc::clone(&tools), Mutex::new(Some(stream)));
        let backend =
            RawBackend::start(Speaks::Legacy, "[]", move |asked| match asked.message.method.as_str() {
                "tools/list" => Some(Answer::Result(listed.lock().clone())),
                _ if asked.verb == http::Method::GET => stream.lock().take().map(Answer::Events),
                _ => None,
            })
            .await;
        Self { backend, tools, events }
    }

    /// Sets the tools and says so, as often as told.
    async fn change(&self, names: &[&str], times: usize) {
        *self.tools.lock() = list(names);
        for _ in 0..times {
            self.events.send(notification(CHANGED, "{}")).await.unwrap();
        }
    }

    fn fetches(&self) -> usize {
        self.backend.asked("tools/list").len()
    }
}

fn list(names: &[&str]) -> String {
    let tools: Vec<_> = names
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#))
        .collect();
    format!(r#"{{"tools":[{}]}}"#, tools.join(","))
}

/// An open stream of each era.
async fn listeners(yard: &Yard) -> (Client, Vec<Events>) {
    let legacy = Client::legacy(&yard.url).await;
    let get = legacy.verb(http::Method::GET).header("accept", "text/event-stream");
    let modern = Client::modern(&yard.url);
    let listen =
        modern.request("1", "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#, "");
    let mut streams = Vec::new();
    for request in [get, listen] {
        streams.push(Events::of(within("a stream", request.send()).await.unwrap()));
    }
    let acknowledged = streams[1].next().await.unwrap();
    assert_eq!(acknowledged.method, "notifications/subscriptions/acknowledged");
    (modern, streams)
}

#[tokio::test]
async fn a_change_is_told_once_and_no_change_is_not_told() {
    let changing = Changing::start().await;
    let yard = Yard::of(&changing.backend.entry("raw")).await;
    let (client, mut streams) = listeners(&yard).await;

    changing.change(&["a", "b"], 5).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().method, CHANGED);
    }
    assert_eq!(client.tools().await, ["raw__a", "raw__b"]);

    let fetches = changing.fetches();
    changing.change(&["a", "b"], 1).await;
    eventually("a fetch of the same list", async || (changing.fetches() > fetches).then_some(())).await;
    let fetches = changing.fetches();
    changing.change(&["a", "b"], 1).await;
    eventually("another fetch", async || (changing.fetches() > fetches).then_some(())).await;

    changing.change(&["b"], 1).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().method, CHANGED);
    }
    assert_eq!(client.tools().await, ["raw__b"]);
    yard.stop().await;
    for stream in &mut streams {
        while let Some(message) = stream.next().await {
            assert_ne!(message.method, CHANGED, "a third notification for two changes");
        }
    }
}

#[tokio::test]
async fn a_change_of_what_is_hidden_is_told_to_nobody() {
    let changing = Changing::start().await;
    let yard = Yard::of(&changing.backend.entry_with("raw", "hide: [\"secret_*\"]")).await;
    let (client, mut streams) = listeners(&yard).await;
    let fetches = changing.fetches();
    changing.change(&["a", "secret_b"], 1).await;
    eventually("a fetch", async || (changing.fetches() > fetches).then_some(())).await;
    changing.change(&["a", "b", "secret_b"], 1).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().method, CHANGED);
    }
    assert_eq!(client.tools().await, ["raw__a", "raw__b"], "the notification was for what can be seen");
    yard.stop().await;
    for stream in &mut streams {
        while let Some(message) = stream.next().await {
            assert_ne!(message.method, CHANGED, "a second notification for one change");
        }
    }
}
