//! A backend of 2025-11-25 runs its tool as a task; clients that know no tasks wait for the end of their call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;

use super::{ASKS, answer_question};
use crate::support::client::{Events, LEGACY};
use crate::support::message::result;
use crate::support::{Answer, Asked, Client, Message, RawBackend, Speaks, Yard, eventually, member, within};

pub(super) const TOOLS: &str = r#"[{"name":"dig","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}},{"name":"may","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"raw","version":"1"}}"#;
const TIED: &str = r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t1"}}"#;

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    /// It is done when it was asked for twice.
    Done,
    /// It asks for something, then it is done.
    Asks,
    /// It asks for something, then it is done, and who waited for its result since it asked hears nothing more.
    AsksAndIsSilent,
    /// It goes on for ever.
    Endless,
    /// It does not even say how it stands.
    Silent,
}

/// How a task stands.
pub(super) fn standing(status: &str) -> String {
    format!(
        r#""taskId":"t1","status":"{status}","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":6e4,"pollInterval":20"#
    )
}

/// A backend all of whose calls become the task `t1`.
pub(super) async fn digging(plot: Plot) -> RawBackend {
    let (asked_for, fetching) =
        (AtomicUsize::new(0), Arc::<Mutex<Option<(mpsc::Sender<String>, String)>>>::default());
    let (asks, is_answered) =
        (matches!(plot, Plot::Asks | Plot::AsksAndIsSilent), Arc::<AtomicBool>::default());
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let message = &asked.message;
        Some(match message.method.as_str() {
            "initialize" => Answer::Result(INITIALIZED.to_owned()),
            "tools/call" if message.param("task").is_none() => return None,
            "tools/call" => Answer::Result(format!(r#"{{"task":{{{}}}}}"#, standing("working"))),
            "tasks/get" if plot == Plot::Silent => Answer::never(),
            "tasks/get" => {
                let status = match (plot, asked_for.fetch_add(1, Ordering::SeqCst)) {
                    (_, 0) | (Plot::Endless, _) => "working",
                    (Plot::AsksAndIsSilent, _) if is_answered.load(Ordering::SeqCst) => "completed",
                    (Plot::Asks | Plot::AsksAndIsSilent, _) => "input_required",
                    _ => "completed",
                };
                Answer::Result(format!("{{{}}}", standing(status)))
            }
            "tasks/result" if asks && !is_answered.load(Ordering::SeqCst) => {
                let (events, stream) = mpsc::channel(4);
                let params = format!(r#"{{"message":"How many?","requestedSchema":{{}},{TIED}}}"#);
                let ask = format!(
                    r#"{{"jsonrpc":"2.0","id":"ask","method":"elicitation/create","params":{params}}}"#
                );
                events.try_send(ask).unwrap();
                *fetching.lock() = Some((events, message.id.clone()?));
                Answer::Events(stream)
            }
            "tasks/result" => Answer::Result(format!(r#"{{"content":[],"n":1.50,{TIED}}}"#)),
            "tasks/cancel" => Answer::Result(format!("{{{}}}", standing("cancelled"))),
            "" if message.id.as_deref() == Some(r#""ask""#) && plot == Plot::AsksAndIsSilent => {
                is_answered.store(true, Ordering::SeqCst);
                return None;
            }
            "" if message.id.as_deref() == Some(r#""ask""#) => {
                let (events, id) = fetching.lock().take()?;
                let given = message.result.clone()?;
                events.try_send(result(&id, &format!(r#"{{"content":[],"given":{given},{TIED}}}"#))).unwrap();
                return None;
            }
            _ => return None,
        })
    })
    .await
}

/// Waits until the backend was told to end its task.
pub(super) async fn until_cancelled(backend: &RawBackend) {
    let cancel = eventually("the end of the task", async || backend.asked("tasks/cancel").pop()).await;
    assert_eq!(cancel.message.param("taskId").as_deref(), Some(r#""t1""#));
}

fn methods(backend: &RawBackend, method: &str) -> Vec<Option<String>> {
    backend.asked(method).iter().map(|asked: &Asked| asked.message.param("taskId")).collect()
}

#[tokio::test]
async fn a_call_lasts_as_long_as_its_task() {
    let backend = digging(Plot::Done).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let result = r#"{"content":[],"n":1.50}"#;
    let legacy = Client::legacy(&yard.url).await.call("raw__dig", r#"{"n":1.0}"#).await;
    assert_eq!(legacy.result.as_deref(), Some(result));
    let modern = Client::modern(&yard.url).call("raw__dig", r#"{"n":1.0}"#).await;
    assert_eq!(modern.result.as_deref(), Some(r#"{"resultType":"complete","content":[],"n":1.50}"#));

    for call in backend.asked("tools/call") {
        assert_eq!(call.message.param("task").as_deref(), Some(r#"{"ttl":3600000}"#));
        assert_eq!(call.message.param("arguments").as_deref(), Some(r#"{"n":1.0}"#));
    }
    let asked = Some(r#""t1""#.to_owned());
    assert!(methods(&backend, "tasks/get").len() >= 3);
    assert!(methods(&backend, "tasks/get").iter().all(|id| *id == asked));
    assert_eq!(methods(&backend, "tasks/result"), [asked.clone(), asked]);
    yard.stop().await;
    assert!(backend.asked("tasks/cancel").is_empty());
}

#[tokio::test]
async fn a_tool_that_may_run_either_way_is_called_and_clients_see_no_more_of_it() {
    let backend = digging(Plot::Done).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    let called = client.ask("tools/call", r#""name":"raw__may","arguments":{},"task":{"ttl":1}"#).await;
    assert_eq!(called.result.as_deref(), Some(r#"{"content":[]}"#));
    for client in [client, Client::modern(&yard.url)] {
        let tools = client.ask("tools/list", "").await.result_value();
        assert!(tools["tools"].as_array().unwrap().iter().all(|tool| tool.get("execution").is_none()));
    }
}

#[tokio::test]
async fn a_task_asks_a_client_of_either_era_in_the_middle_of_its_call() {
    let call = r#""name":"raw__dig","arguments":{}"#;
    for is_modern in [false, true] {
        let backend = digging(Plot::Asks).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::modern(&yard.url).able(ASKS);
        let answer: Message = if is_modern {
            answer_question(&client, call).await
        } else {
            let client = client.open(LEGACY).await;
            let mut events = Events::of(
                within("a response", client.request("1", "tools/call", call, "").send()).await.unwrap(),
            );
            let asked = events.next().await.unwrap();
            assert_eq!(asked.param("message").as_deref(), Some(r#""How many?""#));
            assert!(asked.param("_meta").is_none(), "a backend's task is nothing to a client");
            client.tell(result(&asked.id.unwrap(), r#"{"action":"accept","content":{"n":1.10}}"#)).await;
            events.next().await.unwrap()
        };
        let given = answer.result_of("given").unwrap();
        assert_eq!(member(&given, "content").as_deref(), Some(r#"{"n":1.10}"#), "{answer:?}");
        let tie = member(&given, "_meta").unwrap();
        assert_eq!(tie, r#"{"io.modelcontextprotocol/related-task":{"taskId":"t1"}}"#);
        assert!(answer.result_of("_meta").is_none());
        assert_eq!(backend.asked("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn a_task_ends_with_the_call_that_waits_for_it() {
    let backend = digging(Plot::Endless).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url);
    let call = client.request("1", "tools/call", r#""name":"raw__dig","arguments":{}"#, "").send();
    tokio::select! {
        answer = call => panic!("{answer:?}"),
        _ = eventually("a task", async || backend.asked("tasks/get").pop()) => {}
    }
    until_cancelled(&backend).await;
}

#[tokio::test]
async fn a_task_that_was_answered_is_asked_how_it_stands_when_its_result_does_not_come() {
    let backend = digging(Plot::AsksAndIsSilent).await;
    let yard = Yard::of(&backend.entry_with("raw", "timeouts: { call: 1s }")).await;
    let client = Client::modern(&yard.url).able(ASKS);
    let answer = answer_question(&client, r#""name":"raw__dig","arguments":{}"#).await;
    assert_eq!(answer.result_of("n").as_deref(), Some("1.50"), "{answer:?}");
    assert!(backend.asked("tasks/cancel").is_empty());
}

#[tokio::test]
async fn a_task_that_says_nothing_times_out_and_is_cancelled() {
    let backend = digging(Plot::Silent).await;
    let yard = Yard::of(&backend.entry_with("raw", "timeouts: { call: 1s }")).await;
    let failure = Client::modern(&yard.url).call("raw__dig", "{}").await.failure();
    assert_eq!(failure["error"], json!("tool_timeout"));
    until_cancelled(&backend).await;
}
