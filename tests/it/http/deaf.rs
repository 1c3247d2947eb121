//! What is on its way to a client that does not read counts against the memory for large messages.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::message::{notification, result};
use crate::support::program::Program;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, eventually, member, within};

const BOUND: usize = 16 * 1024 * 1024;
/// Of an answer; beside it there is no room for a body of the same size.
const LARGE: usize = 12 * 1024 * 1024;

const TOOLS: &str = r#"[{"name":"one","inputSchema":{"type":"object"}}]"#;
const WITH_RESOURCES: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{}},"serverInfo":{"name":"raw","version":"1"}}"#;

/// Tells of progress, and then answers at length: as events, each of them a copy.
fn at_length(asked: &Asked) -> Option<Answer> {
    let (events, stream) = mpsc::channel(2);
    let token = member(&asked.message.param("_meta")?, "progressToken")?;
    let progress = format!(r#"{{"progressToken":{token},"progress":1}}"#);
    events.try_send(notification("notifications/progress", &progress)).ok()?;
    let long = format!(r#"{{"resultType":"complete","content":[],"long":"{}"}}"#, "x".repeat(LARGE));
    events.try_send(result(asked.message.id.as_deref()?, &long)).ok()?;
    Some(Answer::Events(stream))
}

/// Answers as its era does; a client of the other one gets a copy with what its era wants said.
fn of_its_era(asked: &Asked) -> Option<Answer> {
    Some(Answer::Result(match asked.message.method.as_str() {
        "initialize" => WITH_RESOURCES.to_owned(),
        "resources/list" => r#"{"resources":[{"uri":"a://1","name":"1"}]}"#.to_owned(),
        "resources/read" => {
            format!(r#"{{"contents":[{{"uri":"a://1","text":"{}"}}]}}"#, "x".repeat(LARGE))
        }
        _ => return None,
    }))
}

async fn serving(raw: &RawBackend) -> Program {
    let directory = tempfile::tempdir().unwrap();
    let limits = format!("limits: {{ body_bytes: {BOUND}, buffered_bytes: {BOUND} }}");
    let server = format!("server: {{ listen: \"127.0.0.1:0\", {limits} }}");
    let config = format!("{server}\nadmin: {{ listen: \"127.0.0.1:0\" }}\nbackends:\n{}", raw.entry("raw"));
    std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
    Program::start_in(directory).await
}

/// The status of a large body of blanks, which is no message: 400 once there was room for it.
async fn status_of_a_large_body(url: &str) -> Option<u16> {
    let authority = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let (mut read, mut write) = TcpStream::connect(authority).await.unwrap().into_split();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let body = format!("{head}Content-Length: {LARGE}\r\n\r\n{}", " ".repeat(LARGE));
    let writing = tokio::spawn(async move {
        let _ = write.write_all(body.as_bytes()).await;
        write
    });
    let mut answer = [0; 12];
    let read = within("a status", read.read_exact(&mut answer)).await;
    writing.abort();
    read.ok()?;
    std::str::from_utf8(&answer[9..]).unwrap().parse().ok()
}

/// A client that asks this and reads no more than the head of the answer fills the memory until it goes.
async fn fills_the_memory(program: &Program, client: &Client, request: reqwest::RequestBuilder) {
    let url = &program.url;
    // Asked again if it is refused: what was there before may still hold the room.
    let deaf = eventually("a large answer", async || {
        let answer = within("a response", request.try_clone().unwrap().send()).await.unwrap();
        answer.content_length().is_none_or(|length| length > LARGE as u64).then_some(answer)
    })
    .await;
    eventually("the end of the call", async || {
        let in_flight = program.metric(r#"switchyard_calls_in_flight{backend="raw"}"#).await;
        (in_flight == Some(0.0)).then_some(())
    })
    .await;
    eventually("no room for a large body", async || {
        (status_of_a_large_body(url).await == Some(503)).then_some(())
    })
    .await;
    assert!(client.ask("server/discover", "").await.result.is_some(), "small ones are served");
    drop(deaf);
    eventually("room again", async || (status_of_a_large_body(url).await == Some(400)).then_some(())).await;
}

#[tokio::test]
async fn an_event_that_its_client_does_not_take_is_counted_until_the_client_goes() {
    let raw = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        if asked.message.method == "tools/call" { at_length(asked) } else { None }
    })
    .await;
    let program = serving(&raw).await;
    let client = program.modern().unpooled();
    eventually("the tool", async || (!client.tools().await.is_empty()).then_some(())).await;
    let call = r#""name":"raw__one","arguments":{}"#;
    let request = client.request("1", "tools/call", call, r#""progressToken":"p""#);
    fills_the_memory(&program, &client, request).await;
}

#[tokio::test]
async fn an_answer_that_was_changed_for_its_client_is_counted_like_what_it_was_made_of() {
    let raw = RawBackend::start(Speaks::Legacy, "[]", of_its_era).await;
    let program = serving(&raw).await;
    let client = program.modern().unpooled();
    let uri = eventually("the resource", async || {
        let listed = client.ask("resources/list", "").await.result_value();
        listed["resources"][0]["uri"].as_str().map(str::to_owned)
    })
    .await;
    let request = client.request("1", "resources/read", &format!(r#""uri":"{uri}""#), "");
    fills_the_memory(&program, &client, request).await;
}

/// A backend of 2025-11-25 whose only tool runs as a task that is over at once.
fn as_a_task(asked: &Asked) -> Option<Answer> {
    const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"raw","version":"1"}}"#;
    Some(Answer::Result(match asked.message.method.as_str() {
        "initialize" => INITIALIZED.to_owned(),
        "tools/call" => r#"{"task":{"taskId":"t1","status":"completed"}}"#.to_owned(),
        "tasks/result" => format!(r#"{{"content":[],"long":"{}"}}"#, "x".repeat(LARGE)),
        _ => return None,
    }))
}

#[tokio::test]
async fn what_a_task_came_to_is_counted_while_it_is_on_its_way_and_not_while_it_is_kept() {
    const TASKS: &str =
        r#"[{"name":"one","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}]"#;
    let raw = RawBackend::start(Speaks::Legacy, TASKS, as_a_task).await;
    let program = serving(&raw).await;
    let client = program.modern().unpooled().able(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
    let created = eventually("a task", async || {
        let created = client.call("raw__one", "{}").await;
        created.result_of("taskId").is_some().then_some(created)
    })
    .await;
    let task = format!(r#""taskId":{}"#, created.result_of("taskId").unwrap());
    eventually("its end", async || {
        let status = client.ask("tasks/get", &task).await.result_of("status");
        (status.as_deref() == Some(r#""completed""#)).then_some(())
    })
    .await;
    eventually("room beside it", async || {
        (status_of_a_large_body(&program.url).await == Some(400)).then_some(())
    })
    .await;
    fills_the_memory(&program, &client, client.request("1", "tasks/get", &task, "")).await;
}
