//! A modern backend runs its tool as a task and in no other way; clients that know no tasks wait for the end of their call.

use parking_lot::Mutex;
use serde_json::json;

use super::relay::{DISCOVERED, STANDING, TOOLS};
use super::{ASKS, FOLLOWS};
use crate::support::client::{Events, LEGACY};
use crate::support::message::{error, notification, result};
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually, member, within};

const MISSING: &str = r#"{"code":-32021,"message":"tasks","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}"#;
const CALL: &str = r#""name":"raw__dig","arguments":{"n":1.0}"#;

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// It asks for something, then it is done.
    Asks,
    /// It is done when it was asked for twice.
    Done,
    /// It goes on for ever.
    Endless,
}

/// A backend that makes a task `t/1` of each call, and speaks of it only with those who declare that they know tasks.
async fn digging(plot: Plot) -> RawBackend {
    let (given, working) = (Mutex::new(None), Mutex::new(true));
    RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let message = &asked.message;
        let task = |status: &str, beside: &str| {
            let standing = format!(r#""taskId":"t/1","status":"{status}",{STANDING}"#);
            format!(r#"{{"resultType":"complete",{standing}{beside}}}"#)
        };
        let text = match message.method.as_str() {
            "server/discover" => DISCOVERED.to_owned(),
            "tools/call" | "tasks/get" | "tasks/update" | "tasks/cancel" if !declares(asked) => {
                return Some(Answer::Http(400, error(message.id.as_deref()?, MISSING)));
            }
            "tools/call" => task("working", "").replace("complete", "task"),
            "tasks/get" => match (plot, given.lock().as_ref()) {
                (Plot::Asks, None) => {
                    let ask = r#"{"method":"elicitation/create","params":{"message":"How many?","requestedSchema":{"type":"object"}}}"#;
                    task("input_required", &format!(r#","inputRequests":{{"k 1":{ask}}}"#))
                }
                (Plot::Asks, Some(given)) => {
                    task("completed", &format!(r#","result":{{"content":[],"given":{given}}}"#))
                }
                (Plot::Done, _) if !std::mem::take(&mut *working.lock()) => {
                    task("completed", r#","result":{"content":[],"n":1.50}"#)
                }
                _ => task("working", ""),
            },
            "tasks/update" => {
                *given.lock() = message.param("inputResponses");
                r#"{"resultType":"complete"}"#.to_owned()
            }
            "tasks/cancel" => r#"{"resultType":"complete"}"#.to_owned(),
            _ => return None,
        };
        Some(Answer::Result(text))
    })
    .await
}

/// Whether a request says that its sender follows tasks.
fn declares(asked: &Asked) -> bool {
    let meta = asked.message.param("_meta").unwrap_or_default();
    let declared = member(&meta, "io.modelcontextprotocol/clientCapabilities").unwrap_or_default();
    member(&declared, "extensions")
        .is_some_and(|extensions| extensions.contains("modelcontextprotocol/tasks"))
}

/// Waits until the backend was told to end its task, by somebody it listens to.
async fn until_cancelled(backend: &RawBackend) {
    let cancel = eventually("the end of the task", async || backend.asked("tasks/cancel").pop()).await;
    assert_eq!(cancel.message.param("taskId").as_deref(), Some(r#""t/1""#));
    assert!(declares(&cancel));
}

#[tokio::test]
async fn a_tool_that_must_run_as_a_task_is_one_call_to_a_client_that_knows_none() {
    for version in [LEGACY, "2025-06-18"] {
        let backend = digging(Plot::Done).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::modern(&yard.url).open(version).await;
        let answer = client.ask("tools/call", CALL).await;
        let text = answer.result_value();
        assert_eq!((&text["content"], &text["n"]), (&json!([]), &json!(1.5)), "{version}: {answer:?}");

        let calls = backend.asked("tools/call");
        assert_eq!(calls.iter().map(declares).collect::<Vec<_>>(), [false, true]);
        assert!(calls.iter().all(|call| call.message.param("arguments").as_deref() == Some(r#"{"n":1.0}"#)));
        let asked = backend.asked("tasks/get");
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|asked| asked.headers["mcp-name"] == "t/1"));
        yard.stop().await;
        assert!(backend.asked("tasks/cancel").is_empty());
    }
}

#[tokio::test]
async fn a_modern_client_decides_for_itself_whether_it_knows_tasks() {
    let backend = digging(Plot::Done).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let refused = Client::modern(&yard.url).ask("tools/call", CALL).await.error_value();
    assert_eq!(refused["code"], -32021);
    let created = Client::modern(&yard.url).able(FOLLOWS).ask("tools/call", CALL).await;
    assert_eq!(created.result_of("resultType").as_deref(), Some(r#""task""#));
    assert_eq!(backend.asked("tools/call").len(), 2);
}

#[tokio::test]
async fn what_such_a_task_asks_the_client_is_asked_in_the_middle_of_its_call() {
    let backend = digging(Plot::Asks).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ASKS).open(LEGACY).await;
    let call = client.request("1", "tools/call", CALL, "").send();
    let mut events = Events::of(within("a response", call).await.unwrap());
    let asked = events.next().await.unwrap();
    assert_eq!(asked.method, "elicitation/create");
    assert_eq!(asked.param("message").as_deref(), Some(r#""How many?""#));
    client.tell(result(&asked.id.unwrap(), r#"{"action":"accept","content":{"n":1.10}}"#)).await;
    let answer = events.next().await.unwrap();
    let given = r#"{"k 1":{"action":"accept","content":{"n":1.10}}}"#;
    assert_eq!(answer.result_of("given").as_deref(), Some(given), "{answer:?}");
    assert_eq!(backend.asked("tasks/update").len(), 1);
}

#[tokio::test]
async fn such_a_task_ends_with_its_call() {
    let backend = digging(Plot::Endless).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    let calling = tokio::spawn(client.request("1", "tools/call", CALL, "").send());
    eventually("a question how it stands", async || backend.asked("tasks/get").pop()).await;
    client.tell(notification("notifications/cancelled", r#"{"requestId":1}"#)).await;
    until_cancelled(&backend).await;
    within("the end of the call", calling).await.unwrap().unwrap();
}

#[tokio::test]
async fn such_a_task_has_the_time_of_a_call_and_no_more() {
    let backend = digging(Plot::Endless).await;
    let yard = Yard::of(&backend.entry_with("raw", "timeouts: { call: 1s, total: 2s }")).await;
    let failure = Client::legacy(&yard.url).await.call("raw__dig", "{}").await.failure();
    assert_eq!(failure["error"], json!("tool_timeout"));
    assert!(backend.asked("tasks/get").len() > 1);
    until_cancelled(&backend).await;
}
