//! Clients that follow tasks by the extension, before a backend of 2025-11-25.

use http::Method;
use serde_json::{Value, json};

use super::FOLLOWS;
use super::legacy::{Plot, digging, until_cancelled};
use crate::support::program::Program;
use crate::support::{Client, Message, Yard, eventually, member};

/// Calls the tool, which makes a task.
async fn created(client: &Client, tool: &str) -> Message {
    let created = client.call(&format!("raw__{tool}"), "{}").await;
    assert_eq!(created.result_of("resultType").as_deref(), Some(r#""task""#), "{created:?}");
    created
}

fn of(task: &Message) -> String {
    format!(r#""taskId":{}"#, task.result_of("taskId").unwrap())
}

/// Asks how a task stands until it is `status`.
async fn until(client: &Client, task: &str, status: &str) -> Message {
    eventually(&format!("a task that is {status}"), async || {
        let got = client.ask("tasks/get", task).await;
        (got.result_value()["status"] == status).then_some(got)
    })
    .await
}

#[tokio::test]
async fn a_task_is_told_of_in_the_words_of_the_extension_and_ends_with_its_result() {
    let backend = digging(Plot::Done).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    for tool in ["dig", "may"] {
        let task = created(&client, tool).await;
        let value = task.result_value();
        assert_eq!((&value["ttlMs"], &value["pollIntervalMs"]), (&json!(60_000), &json!(20)));
        for old in ["ttl", "pollInterval", "task", "result"] {
            assert!(value.get(old).is_none(), "{old}");
        }
        let done = until(&client, &of(&task), "completed").await;
        assert_eq!(done.result_of("resultType").as_deref(), Some(r#""complete""#));
        assert_eq!(done.result_of("taskId"), task.result_of("taskId"));
        assert_eq!(done.result_of("result").as_deref(), Some(r#"{"content":[],"n":1.50}"#));
        let ack = client.ask("tasks/cancel", &of(&task)).await;
        assert_eq!(ack.result.as_deref(), Some(r#"{"resultType":"complete"}"#));
    }
    assert_eq!(backend.asked("tools/call").len(), 2);
    assert!(backend.asked("tasks/cancel").is_empty());
    let discovered = client.ask("server/discover", "").await.result_value();
    assert_eq!(discovered["capabilities"]["extensions"], json!({"io.modelcontextprotocol/tasks": {}}));
}

#[tokio::test]
async fn what_a_task_asks_is_answered_by_an_update() {
    let backend = digging(Plot::Asks).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    let task = of(&created(&client, "dig").await);
    let asked = until(&client, &task, "input_required").await;
    let requests: Value = asked.result_value()["inputRequests"].take();
    let (key, request) = requests.as_object().unwrap().iter().next().unwrap();
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"], json!({"message": "How many?", "requestedSchema": {}}));

    let stranger = r#""inputResponses":{"nobody asked":{}}"#;
    client.ask("tasks/update", &format!("{task},{stranger}")).await.result_value();
    assert_eq!(client.ask("tasks/get", &task).await.result_value()["status"], "input_required");
    let given = format!(r#""inputResponses":{{"{key}":{{"action":"accept","content":{{"n":1.10}}}}}}"#);
    let ack = client.ask("tasks/update", &format!("{task},{given}")).await;
    assert_eq!(ack.result.as_deref(), Some(r#"{"resultType":"complete"}"#));
    let done = until(&client, &task, "completed").await;
    let given = member(&done.result_of("result").unwrap(), "given").unwrap();
    assert_eq!(member(&given, "content").as_deref(), Some(r#"{"n":1.10}"#));
}

#[tokio::test]
async fn a_task_that_is_taken_back_is_cancelled_at_its_backend() {
    let backend = digging(Plot::Endless).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    let task = of(&created(&client, "dig").await);
    assert_eq!(client.ask("tasks/get", &task).await.result_value()["status"], "working");
    client.ask("tasks/cancel", &task).await.result_value();
    assert_eq!(client.ask("tasks/get", &task).await.result_value()["status"], "cancelled");
    until_cancelled(&backend).await;
}

#[tokio::test]
async fn a_task_goes_on_where_it_was_made_when_its_backend_is_altered() {
    const ONLY_FOLLOWS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let backend = digging(Plot::Endless).await;
    let program = Program::start(&format!("backends:\n{}", backend.entry("raw"))).await;
    let client = program.modern().able(ONLY_FOLLOWS);
    eventually("its tools", async || (!client.tools().await.is_empty()).then_some(())).await;
    let task = of(&created(&client, "dig").await);
    program.write(&format!("backends:\n{}", backend.entry_with("raw", "timeouts: { call: 7s }")));
    program.generation(2).await;
    let polls = || backend.asked("tasks/get").len();
    let sessions_ended = || backend.asked("").iter().any(|asked| asked.verb == Method::DELETE);
    let before = polls();
    eventually("many questions how it stands", async || (polls() > before + 20).then_some(())).await;
    assert!(!sessions_ended(), "the session that has the task was ended");
    assert_eq!(client.ask("tasks/get", &task).await.result_value()["status"], "working");
    client.ask("tasks/cancel", &task).await.result_value();
    until_cancelled(&backend).await;
    eventually("the end of that session", async || sessions_ended().then_some(())).await;
}

#[tokio::test]
async fn a_client_may_make_any_number_of_tasks_one_after_the_other() {
    let backend = digging(Plot::Done).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    for _ in 0..40 {
        let task = of(&created(&client, "may").await);
        until(&client, &task, "completed").await;
    }
    assert!(backend.asked("tasks/cancel").is_empty());
}

#[tokio::test]
async fn a_task_goes_on_without_its_client_but_not_without_its_gateway() {
    // Who can be asked has a connection to the backend for the call alone; the other one shares one.
    for able in [FOLLOWS, r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#] {
        let backend = digging(Plot::Endless).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        created(&Client::modern(&yard.url).able(able), "dig").await;
        eventually("a question how it stands", async || (backend.asked("tasks/get").len() > 3).then_some(()))
            .await;
        assert!(backend.asked("tasks/cancel").is_empty());
        yard.stop().await;
        assert_eq!(backend.asked("tasks/cancel").len(), 1, "told before the gateway has ended: {able}");
    }
}
