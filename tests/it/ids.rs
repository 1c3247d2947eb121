//! Do two clients that number their requests alike ever get each other's answers?

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use crate::support::gateway::raw_stdio_entry;
use crate::support::message::{notification, result};
use crate::support::{Answer, Asked, Client, Message, RawBackend, Speaks, Yard};

const ROUNDS: usize = 4;
/// Calls that one client has in flight at a time; even, because the pipe's backend answers in pairs.
const AT_A_TIME: usize = 50;

/// What one client sends as arguments with its request `id`.
fn arguments(who: &str, id: usize) -> String {
    format!(r#"{{"who":"{who}","id":{id}}}"#)
}

/// Both clients make all their calls at once, numbered alike, progress tokens included.
async fn call_alike(yard: &Yard, tool: &str) {
    let legacy = Arc::new(Client::legacy(&yard.url).await);
    let modern = Arc::new(Client::modern(&yard.url));
    for round in 0..ROUNDS {
        let mut calls = tokio::task::JoinSet::new();
        for id in round * AT_A_TIME..(round + 1) * AT_A_TIME {
            for (who, client) in [("legacy", &legacy), ("modern", &modern)] {
                calls.spawn(one(Arc::clone(client), who, tool.to_owned(), id));
            }
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap();
        }
    }
}

async fn one(client: Arc<Client>, who: &str, tool: String, id: usize) {
    let own = arguments(who, id);
    let members = format!(r#""name":"{tool}","arguments":{own}"#);
    let meta = format!(r#""progressToken":{id}"#);
    let messages = client.exchange(client.request(&id.to_string(), "tools/call", &members, &meta)).await;
    let [progress, answer] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(progress.param("progressToken"), Some(id.to_string()));
    assert_eq!(progress.param("message"), Some(serde_json::to_string(&own).unwrap()));
    assert_eq!(answer.id, Some(id.to_string()));
    assert_eq!(answer.result_value()["echo"].to_string(), own);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_progress_over_one_pipe_reach_the_client_that_asked() {
    let entry = |era| raw_stdio_entry(era, era, "concurrency: { in_flight: 1000 }");
    let yard = Yard::of(&(entry("legacy") + &entry("modern"))).await;
    call_alike(&yard, "legacy__swap").await;
    call_alike(&yard, "modern__swap").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_progress_over_http_reach_the_client_that_asked() {
    let held: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = Arc::clone(&held);
    let tools = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
    let backend = RawBackend::start(Speaks::Modern, tools, move |asked| echo(asked, &seen)).await;
    let yard = Yard::of(&backend.entry_with("raw", "concurrency: { in_flight: 1000 }")).await;
    call_alike(&yard, "raw__echo").await;
    assert_eq!(held.lock().await.len(), 2 * ROUNDS * AT_A_TIME, "every request has an id of its own");
}

fn echo(asked: &Asked, seen: &Arc<Mutex<BTreeSet<String>>>) -> Option<Answer> {
    let (seen, message) = (Arc::clone(seen), asked.message.clone());
    let arguments = message.param("arguments")?;
    Some(Answer::later(async move {
        let id = message.id.clone().unwrap();
        seen.lock().await.insert(id.clone());
        let (sender, events) = mpsc::channel(2);
        sender.send(progress(&message, &arguments)).await.unwrap();
        let _ = sender.send(result(&id, &format!(r#"{{"content":[],"echo":{arguments}}}"#))).await;
        Answer::Events(events)
    }))
}

fn progress(message: &Message, text: &str) -> String {
    let meta = message.param("_meta").unwrap();
    let token = crate::support::member(&meta, "progressToken").unwrap();
    let text = serde_json::to_string(text).unwrap();
    notification(
        "notifications/progress",
        &format!(r#"{{"progressToken":{token},"progress":1,"message":{text}}}"#),
    )
}
