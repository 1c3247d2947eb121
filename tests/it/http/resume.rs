//! A client of a session that loses its connection and comes back with the id of the last event it saw.

use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::client::Events;
use crate::support::message::{notification, result};
use crate::support::program::Program;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually, member, within};

const TOOLS: &str = r#"[{"name":"work","inputSchema":{"type":"object"}}]"#;
const WORK: &str = r#""name":"raw__work","arguments":{}"#;

/// What a call at the backend hears and says.
struct Running {
    id: String,
    token: String,
    events: mpsc::Sender<String>,
}

impl Running {
    async fn progress(&self, n: u32) {
        let params = format!(r#"{{"progressToken":{},"progress":{n}}}"#, self.token);
        self.events.send(notification("notifications/progress", &params)).await.unwrap();
    }

    async fn answer(self) {
        self.events.send(result(&self.id, &format!(r#"{{"content":[],"own":{}}}"#, self.id))).await.unwrap();
    }
}

/// A backend whose calls the test drives.
struct Working {
    backend: RawBackend,
    running: Arc<Mutex<Vec<Running>>>,
}

impl Working {
    async fn start() -> Self {
        let running: Arc<Mutex<Vec<Running>>> = Arc::default();
        let begun = Arc::clone(&running);
        let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
            if asked.message.method != "tools/call" {
                return None;
            }
            let (events, stream) = mpsc::channel(16);
            let token = member(&asked.message.param("_meta")?, "progressToken")?;
            begun.lock().push(Running { id: asked.message.id.clone()?, token, events });
            Some(Answer::Events(stream))
        })
        .await;
        Self { backend, running }
    }

    async fn call(&self) -> Running {
        eventually("a call", async || self.running.lock().pop()).await
    }

    /// Begins a call and reads its stream to the first progress, whose id is returned.
    async fn begin(&self, client: &Client, id: &str) -> (Running, Events, String) {
        let request = client.request(id, "tools/call", WORK, &format!(r#""progressToken":"p{id}""#));
        let asking = tokio::spawn(request.send());
        let running = self.call().await;
        running.progress(1).await;
        let mut events = Events::of(within("a response", asking).await.unwrap().unwrap());
        let last = loop {
            let event = events.next_event().await.unwrap();
            if field(&event, "data: ").contains("progress") {
                break field(&event, "id: ").to_owned();
            }
        };
        (running, events, last)
    }
}

fn field<'a>(event: &'a str, name: &str) -> &'a str {
    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
}

async fn get(client: &Client, last: &str) -> reqwest::Response {
    let get = client.verb(Method::GET).header("accept", "text/event-stream").header("last-event-id", last);
    within("a stream", get.send()).await.unwrap()
}

async fn resume(client: &Client, last: &str) -> Events {
    let response = get(client, last).await;
    assert_eq!(response.status(), 200);
    Events::of(response)
}

#[tokio::test]
async fn a_client_that_lost_its_call_reads_the_rest_of_that_call_once_and_nothing_else() {
    let working = Working::start().await;
    let yard = Yard::of(&working.backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    let (one, broken, last_of_one) = working.begin(&client, "1").await;
    let (two, mut other, last_of_two) = working.begin(&client, "2").await;
    assert_ne!(last_of_one, last_of_two);
    drop(broken);
    one.progress(2).await;
    two.progress(2).await;
    assert_eq!(other.next().await.unwrap().param("progress").as_deref(), Some("2"));
    let mut resumed = resume(&client, &last_of_one).await;
    let missed = resumed.next().await.unwrap();
    assert_eq!(missed.param("progressToken").as_deref(), Some(r#""p1""#));
    assert_eq!(missed.param("progress").as_deref(), Some("2"));
    one.progress(3).await;
    assert_eq!(resumed.next().await.unwrap().param("progress").as_deref(), Some("3"));
    one.answer().await;
    assert_eq!(resumed.next().await.unwrap().id.as_deref(), Some("1"));
    assert!(resumed.next().await.is_none(), "the stream ends with its answer");
    two.answer().await;
    assert_eq!(other.next().await.unwrap().id.as_deref(), Some("2"));
    assert_eq!(working.backend.asked("tools/call").len(), 2);
}

#[tokio::test]
async fn an_answer_given_while_the_client_was_away_is_kept_for_it_and_for_nobody_else() {
    let working = Working::start().await;
    let yard = Yard::of(&working.backend.entry("raw")).await;
    let (client, stranger) = (Client::legacy(&yard.url).await, Client::legacy(&yard.url).await);
    let (call, broken, last) = working.begin(&client, "1").await;
    drop(broken);
    call.answer().await;
    let answer = resume(&client, &last).await.next().await.unwrap();
    assert_eq!(answer.id.as_deref(), Some("1"));
    assert!(answer.result_of("own").is_some());
    let again = resume(&client, &last).await.next().await.unwrap();
    assert_eq!(again.result, answer.result, "this connection may have broken too");
    assert_eq!(get(&stranger, &last).await.status(), 405);
}

#[tokio::test]
async fn ids_are_for_sessions_and_a_stream_begins_with_one_only_where_that_is_known() {
    let working = Working::start().await;
    let yard = Yard::of(&working.backend.entry("raw")).await;
    for (client, has_ids, is_primed) in [
        (Client::legacy(&yard.url).await, true, true),
        (Client::modern(&yard.url).open("2025-06-18").await, true, false),
        (Client::modern(&yard.url), false, false),
    ] {
        let request = client.request("1", "tools/call", WORK, r#""progressToken":1"#);
        let asking = tokio::spawn(request.send());
        let running = working.call().await;
        running.progress(1).await;
        let mut events = Events::of(within("a response", asking).await.unwrap().unwrap());
        let first = events.next_event().await.unwrap();
        assert_eq!(!field(&first, "id: ").is_empty(), has_ids, "{first}");
        assert_eq!(field(&first, "data: ").is_empty(), is_primed, "{first}");
        assert_eq!(first.contains("retry: "), is_primed, "{first}");
        running.answer().await;
        while events.next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_client_is_told_early_how_to_come_back_for_an_answer_that_takes_its_time() {
    let working = Working::start().await;
    let yard = Yard::of(&working.backend.entry("raw")).await;
    let plain = Client::modern(&yard.url).open("2025-06-18").await;
    let waiting = tokio::spawn(plain.request("1", "tools/call", WORK, r#""progressToken":1"#).send());
    let unknowing = working.call().await;
    let client = Client::legacy(&yard.url).await;
    let asking = tokio::spawn(client.request("1", "tools/call", WORK, r#""progressToken":1"#).send());
    let call = working.call().await;
    let mut events = Events::of(within("a stream before the answer", asking).await.unwrap().unwrap());
    let first = events.next_event().await.unwrap();
    assert!(first.contains("retry: ") && field(&first, "data: ").is_empty(), "{first}");
    drop(events);
    call.answer().await;
    let answer = resume(&client, field(&first, "id: ")).await.next().await.unwrap();
    assert_eq!(answer.id.as_deref(), Some("1"));
    // Who could not come back still waits for plain JSON.
    unknowing.answer().await;
    let plain = within("an answer", waiting).await.unwrap().unwrap();
    assert_eq!(plain.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_stream_for_messages_that_answer_nothing_is_read_by_one_connection_at_a_time() {
    let yard = Yard::of("  {}\n").await;
    let client = Client::legacy(&yard.url).await;
    let mut old = resume(&client, "of another server").await;
    let beginning = old.next_event().await.unwrap();
    let mut new = resume(&client, field(&beginning, "id: ")).await;
    assert!(old.next().await.is_none());
    let first = new.next_event().await.unwrap();
    assert!(first.starts_with(':'), "the same stream has the same beginning: {first}");
    yard.stop().await;
    assert!(new.next().await.is_none());
}

#[tokio::test]
async fn a_resumed_stream_ends_with_its_session() {
    let working = Working::start().await;
    let yard = Yard::of(&working.backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    let (_call, broken, last) = working.begin(&client, "1").await;
    drop(broken);
    let mut resumed = resume(&client, &last).await;
    within("the end", client.verb(Method::DELETE).send()).await.unwrap();
    assert!(resumed.next().await.is_none());
}

#[tokio::test]
async fn a_session_keeps_neither_tasks_nor_streams_of_clients_that_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let config = "server: { listen: \"127.0.0.1:0\" }\nadmin: { listen: \"127.0.0.1:0\" }\nbackends: {}\n";
    std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
    let program = Program::start_in(directory).await;
    let client = Client::legacy(&program.url).await.unpooled();
    let before = program.metric("switchyard_tasks").await.unwrap();
    for _ in 0..200 {
        drop(resume(&client, "of another server").await);
    }
    eventually("the end of what served them", async || {
        let tasks = program.metric("switchyard_tasks").await.unwrap();
        (tasks < before + 20.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_stream_of_a_session_ends_and_the_newest_is_served() {
    let yard = Yard::of("  {}\n").await;
    let client = Client::legacy(&yard.url).await;
    let mut open = Vec::new();
    for _ in 0..9 {
        open.push(resume(&client, "of another server").await);
    }
    while open[0].next_event().await.is_some() {}
    let beginning = open[8].next_event().await.unwrap();
    assert!(!field(&beginning, "id: ").is_empty(), "{beginning}");
}
