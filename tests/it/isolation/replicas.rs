//! One server in several places: no call that was not sent is lost with one of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::LEGACY;
use crate::support::program::Program;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

fn is_call(asked: &Asked) -> bool {
    asked.message.method == "tools/call"
}

async fn three(script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + Clone + 'static) -> Vec<RawBackend> {
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(RawBackend::start(Speaks::Modern, TOOLS, script.clone()).await);
    }
    replicas
}

fn entry(replicas: &[RawBackend], settings: &str) -> String {
    let urls: Vec<&str> = replicas.iter().map(|replica| replica.url.as_str()).collect();
    format!("  raw: {{ urls: {urls:?}, {settings} }}\n")
}

/// A gateway to which each replica is known.
async fn yard(replicas: &[RawBackend], settings: &str) -> Yard {
    let yard = Yard::of(&entry(replicas, settings)).await;
    eventually("three replicas", async || {
        let status = yard.backend("raw").snapshot;
        status.replicas.iter().all(|replica| replica.state == "ready").then_some(())
    })
    .await;
    yard
}

fn calls(replica: &RawBackend) -> usize {
    replica.asked("tools/call").len()
}

#[tokio::test]
async fn calls_are_spread_and_the_tools_are_listed_once() {
    let replicas = three(|_| None).await;
    let yard = yard(&replicas, "type: http").await;
    let client = Client::modern(&yard.url);
    for _ in 0..60 {
        assert!(client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
    }
    assert_eq!(client.tools().await, ["raw__echo"]);
    let spread: Vec<usize> = replicas.iter().map(calls).collect();
    assert_eq!(spread.iter().sum::<usize>(), 60);
    assert!(spread.iter().all(|count| *count >= 5), "{spread:?}");
}

#[tokio::test]
async fn with_one_replica_gone_no_call_is_lost() {
    let mut replicas = three(|_| None).await;
    let gone = replicas.remove(1);
    // No connection is left to be reused, so that what goes there is surely not sent.
    let address = gone.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    drop(gone);
    let listener =
        eventually("a free port", async || tokio::net::TcpListener::bind(&address).await.ok()).await;
    replicas.push(RawBackend::start_on(listener, Speaks::Modern, TOOLS, |_| None));
    let yard = yard(&replicas, "type: http").await;
    drop(replicas.pop());
    eventually("a port that refuses", async || tokio::net::TcpStream::connect(&address).await.err()).await;
    let client = Client::modern(&yard.url);
    for _ in 0..60 {
        assert!(client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
    }
    assert_eq!(replicas.iter().map(calls).sum::<usize>(), 60);
    let status = yard.backend("raw").snapshot;
    assert_eq!(status.state, "ready");
    assert_eq!(status.replicas.iter().filter(|replica| replica.state == "down").count(), 1);
}

#[tokio::test]
async fn a_replica_that_answers_nothing_gets_less_and_holds_up_nobody() {
    let silent = RawBackend::start(Speaks::Modern, TOOLS, |asked| is_call(asked).then(Answer::never)).await;
    let mut replicas = three(|_| None).await;
    replicas[0] = silent;
    let yard = yard(&replicas, "type: http").await;
    let mut made = Vec::new();
    while calls(&replicas[0]) == 0 {
        let client = Client::modern(&yard.url);
        made.push(tokio::spawn(async move { client.call("raw__echo", "{}").await }));
        eventually("an answer, or none ever", async || {
            let last = made.last().is_some_and(tokio::task::JoinHandle::is_finished);
            (last || calls(&replicas[0]) > 0).then_some(())
        })
        .await;
    }
    eventually("nothing else in flight", async || {
        (yard.backend("raw").snapshot.in_flight == calls(&replicas[0])).then_some(())
    })
    .await;
    let (stuck, before) = (calls(&replicas[0]), calls(&replicas[1]) + calls(&replicas[2]));
    let client = Client::modern(&yard.url);
    for _ in 0..30 {
        assert!(client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
    }
    assert_eq!(calls(&replicas[0]), stuck, "the one with a call in flight is never the one with fewer");
    assert!(calls(&replicas[1]) + calls(&replicas[2]) >= before + 30);
}

#[tokio::test]
async fn a_replica_that_refuses_trips_alone_and_the_others_go_on() {
    let ill = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        is_call(asked).then(|| Answer::Http(503, String::new()))
    })
    .await;
    let mut replicas = three(|_| None).await;
    replicas[2] = ill;
    let yard = yard(&replicas, "breaker: { open: 60s, max_open: 60s }").await;
    let client = Client::modern(&yard.url);
    let mut failed = 0;
    for _ in 0..120 {
        failed += usize::from(!client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
    }
    assert_eq!((failed, calls(&replicas[2])), (5, 5), "what it answered may have run, and is not repeated");
    let status = yard.backend("raw").snapshot;
    assert_eq!((status.breaker, status.replicas[2].breaker), ("closed", "open"));
}

#[tokio::test]
async fn a_replica_that_does_worse_than_the_others_is_left_out_and_never_more_than_half_are() {
    // Three of ten: too few for a circuit to open.
    let turn = AtomicUsize::new(0);
    let weak = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let fails = is_call(asked) && turn.fetch_add(1, Ordering::SeqCst) % 10 < 3;
        fails.then(|| Answer::Http(500, String::new()))
    })
    .await;
    let mut replicas = three(|_| None).await;
    replicas[0] = weak;
    let settings = "breaker: { min_calls: 10, window: 60s, open: 60s, max_open: 60s }";
    let yard = yard(&replicas, settings).await;
    let client = Client::modern(&yard.url);
    eventually("a replica that is left out", async || {
        client.call("raw__echo", "{}").await;
        yard.backend("raw").snapshot.replicas[0].is_ejected.then_some(())
    })
    .await;
    let before = calls(&replicas[0]);
    for _ in 0..30 {
        assert!(client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
    }
    assert_eq!(calls(&replicas[0]), before);
    let out = yard.backend("raw").snapshot.replicas.iter().filter(|replica| replica.is_ejected).count();
    assert_eq!(out, 1);
}

const FOLLOWS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// Makes each call a task `1`, whatever other replicas call `1`.
fn as_a_task(asked: &Asked) -> Option<Answer> {
    const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"ttlMs":0,"cacheScope":"private"}"#;
    const TASK: &str = r#""taskId":"1","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000"#;
    Some(Answer::Result(match asked.message.method.as_str() {
        "server/discover" => DISCOVERED.to_owned(),
        "tools/call" => format!(r#"{{"resultType":"task",{TASK}}}"#),
        "tasks/get" => format!(r#"{{"resultType":"complete",{TASK}}}"#),
        _ => return None,
    }))
}

#[tokio::test]
async fn a_task_of_a_replica_that_is_taken_out_is_asked_for_nowhere_else() {
    let mut replicas = three(as_a_task).await;
    let program = Program::start(&format!("backends:\n{}", entry(&replicas, "type: http"))).await;
    let client = program.modern().able(FOLLOWS);
    let id = eventually("a task", async || client.call("raw__echo", "{}").await.result_of("taskId")).await;
    let get = format!(r#""taskId":{id}"#);
    let owner = replicas.iter().position(|replica| calls(replica) > 0).unwrap();
    client.ask("tasks/get", &get).await.result_value();
    drop(replicas.remove(owner));
    for (generation, left) in [(2, entry(&replicas, "type: http")), (3, replicas[0].entry("raw"))] {
        program.write(&format!("backends:\n{left}"));
        program.generation(generation).await;
        assert!(client.call("raw__echo", "{}").await.result_of("taskId").is_some());
        assert!(client.ask("tasks/get", &get).await.error.is_some());
        assert!(replicas.iter().all(|replica| replica.asked("tasks/get").is_empty()));
    }
}

#[tokio::test]
async fn a_task_is_asked_about_where_it_is_and_nowhere_else() {
    let mut replicas = three(as_a_task).await;
    let yard = yard(&replicas, "type: http").await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    let mut id = String::new();
    for asked in 1..=12 {
        let before: Vec<usize> = replicas.iter().map(calls).collect();
        id = client.call("raw__echo", "{}").await.result_of("taskId").unwrap();
        let owner =
            replicas.iter().zip(before).position(|(replica, before)| calls(replica) > before).unwrap();
        let gets = replicas[owner].asked("tasks/get").len();
        client.ask("tasks/get", &format!(r#""taskId":{id}"#)).await.result_value();
        assert_eq!(replicas[owner].asked("tasks/get").len(), gets + 1);
        if asked == 12 {
            drop(replicas.remove(owner));
        }
    }
    let before: usize = replicas.iter().map(|replica| replica.asked("tasks/get").len()).sum();
    eventually("a replica that is down", async || {
        let got = client.ask("tasks/get", &format!(r#""taskId":{id}"#)).await;
        got.result.is_none().then_some(())
    })
    .await;
    assert_eq!(replicas.iter().map(|replica| replica.asked("tasks/get").len()).sum::<usize>(), before);
}

#[tokio::test]
async fn what_a_server_keeps_for_a_client_is_in_one_place() {
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await);
    }
    let yard = yard(&replicas, "connections: { mode: per_session }").await;
    for _ in 0..6 {
        let before: Vec<usize> = replicas.iter().map(calls).collect();
        let client = Client::modern(&yard.url).open(LEGACY).await;
        for _ in 0..5 {
            assert!(client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
        }
        let mut made: Vec<usize> =
            replicas.iter().zip(before).map(|(one, before)| calls(one) - before).collect();
        made.sort_unstable();
        assert_eq!(made, [0, 0, 5]);
    }
}

#[tokio::test]
async fn what_a_replica_began_goes_on_there() {
    const ASKS: &str = r#"{"resultType":"input_required","inputRequests":{},"requestState":"s"}"#;
    let replicas = three(|asked| {
        let is_first =
            is_call(asked) && !asked.message.params.as_deref().unwrap_or_default().contains("requestState");
        is_first.then(|| Answer::Result(ASKS.to_owned()))
    })
    .await;
    let yard = yard(&replicas, "type: http").await;
    let client = Client::modern(&yard.url);
    for _ in 0..12 {
        let state = client.call("raw__echo", "{}").await.result_value()["requestState"].to_string();
        let members =
            format!(r#""name":"raw__echo","arguments":{{}},"requestState":{state},"inputResponses":{{}}"#);
        assert!(client.ask("tools/call", &members).await.result.is_some());
    }
    for replica in &replicas {
        assert_eq!(calls(replica) % 2, 0, "a state came back to another replica than gave it");
    }
}

/// The series of a replica, or of the backend that has them.
fn series(metric: &str, replica: Option<&RawBackend>, more: &str) -> String {
    let place = replica.map(|replica| format!("@{}", replica.url.trim_start_matches("http://")));
    format!(r#"switchyard_{metric}{{backend="raw{}"{more}}}"#, place.unwrap_or_default())
}

async fn all_ready(program: &Program, replicas: &[RawBackend]) {
    eventually("all replicas", async || {
        for replica in replicas {
            let ready = series("backend_state", Some(replica), r#",state="ready""#);
            if program.metric(&ready).await != Some(1.0) {
                return None;
            }
        }
        Some(())
    })
    .await;
}

fn ill(asked: &Asked) -> Option<Answer> {
    is_call(asked).then(|| Answer::Http(503, String::new()))
}

const TRIPS_FOR_LONG: &str = "breaker: { failures: 1, open: 60s, max_open: 60s }";

#[tokio::test]
async fn the_circuit_of_a_backend_is_shown_open_only_when_that_of_every_replica_is() {
    let replicas = three(ill).await;
    let program = Program::start(&format!("backends:\n{}", entry(&replicas, TRIPS_FOR_LONG))).await;
    all_ready(&program, &replicas).await;
    let client = program.modern();
    let mut shown = Vec::new();
    for _ in &replicas {
        assert!(!client.call("raw__echo", "{}").await.result_value()["isError"].is_null());
        let mut open = 0;
        for replica in &replicas {
            let state = program.metric(&series("breaker_state", Some(replica), "")).await;
            open += usize::from(state == Some(2.0));
        }
        shown.push((open, program.metric(&series("breaker_state", None, "")).await));
    }
    assert_eq!(shown, [(1, Some(0.0)), (2, Some(0.0)), (3, Some(2.0))]);
}

#[tokio::test]
async fn a_replica_that_a_reload_takes_out_takes_its_metrics_along() {
    let mut replicas = three(|_| None).await;
    replicas[2] = RawBackend::start(Speaks::Modern, TOOLS, ill).await;
    let program = Program::start(&format!("backends:\n{}", entry(&replicas, TRIPS_FOR_LONG))).await;
    all_ready(&program, &replicas).await;
    let client = program.modern();
    let circuit = series("breaker_state", Some(&replicas[2]), "");
    eventually("an open circuit", async || {
        client.call("raw__echo", "{}").await;
        (program.metric(&circuit).await == Some(2.0)).then_some(())
    })
    .await;
    let gone = replicas.pop().unwrap();
    program.write(&format!("backends:\n{}", entry(&replicas, TRIPS_FOR_LONG)));
    program.generation(2).await;
    for state in ["connecting", "ready", "down", "stopped"] {
        let shown = series("backend_state", Some(&gone), &format!(r#",state="{state}""#));
        assert_eq!(program.metric(&shown).await, Some(0.0), "{state}");
    }
    for metric in ["breaker_state", "catalog_fetch_timestamp_seconds"] {
        assert_eq!(program.metric(&series(metric, Some(&gone), "")).await, Some(0.0), "{metric}");
    }
    all_ready(&program, &replicas).await;
}
