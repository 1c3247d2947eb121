//! Does the running program follow its file, and does nobody lose anything by it?

use std::fs;

use parking_lot::Mutex;
use switchyard::server::new_token;

use crate::support::client::Events;
use crate::support::gateway::{binary, raw_stdio_entry};
use crate::support::process::{children, is_alive};
use crate::support::program::Program;
use crate::support::{Answer, RawBackend, Speaks, eventually, within};

const ONE: &str = r#"[{"name":"one","inputSchema":{"type":"object"}}]"#;
const TOOLS_CHANGED: &str = "notifications/tools/list_changed";

fn demo(name: &str, more: &str) -> String {
    format!("  {name}: {{ command: \"{}\", args: [demo, crm, --db, {name}.sqlite]{more} }}\n", binary())
}

#[tokio::test]
async fn backends_come_go_and_change_and_the_others_are_not_touched() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let file = |entries: &str| format!("backends:\n{}{entries}", demo("stays", ""));
    let program = Program::start(&file(&demo("goes", ""))).await;
    let client = program.modern();
    let shows = |tools: &[String], name: &str| tools.iter().any(|tool| tool.starts_with(name));
    eventually("the tools of both", async || {
        let tools = client.tools().await;
        (shows(&tools, "stays__") && shows(&tools, "goes__")).then_some(())
    })
    .await;
    let before = children(program.serving.pid());

    program.swap(&file(&raw.entry("comes")));
    program.generation(2).await;
    let tools = client.tools().await;
    assert!(tools.contains(&"comes__one".to_owned()), "{tools:?}");
    assert!(shows(&tools, "stays__") && !shows(&tools, "goes__"), "{tools:?}");
    assert!(client.call("comes__one", "{}").await.result.is_some());
    let after = eventually("the end of the one", async || {
        let left = children(program.serving.pid());
        (left.len() == 1).then_some(left)
    })
    .await;
    assert!(before.contains(&after[0]), "the one that stays was started anew");

    program.write(&file(&raw.entry_with("comes", "hide: [one], type: http")));
    program.generation(3).await;
    assert!(!client.tools().await.contains(&"comes__one".to_owned()));
    let opened = raw.asked("server/discover").len();
    program.write(&file(&raw.entry_with("comes", "timeouts: { call: 7s }")));
    program.generation(4).await;
    assert!(client.tools().await.contains(&"comes__one".to_owned()), "it is ready when it takes over");
    assert!(raw.asked("server/discover").len() > opened, "an altered backend is connected anew");
    assert_eq!(children(program.serving.pid()), after);
}

#[tokio::test]
async fn a_call_in_flight_is_answered_by_the_backend_it_was_sent_to() {
    let program = Program::start(&format!("backends:\n{}", raw_stdio_entry("raw", "modern", ""))).await;
    let client = program.modern();
    eventually("its tools", async || (!client.tools().await.is_empty()).then_some(())).await;
    let old = children(program.serving.pid());
    let (asked, mut arrival) = tokio::sync::mpsc::channel(1);
    let (release, gate) = tokio::sync::watch::channel(false);
    let slow = RawBackend::start(Speaks::Modern, ONE, move |request| {
        let (asked, mut gate) = (asked.clone(), gate.clone());
        (request.message.method == "tools/call").then(|| {
            Answer::later(async move {
                let _ = asked.send(()).await;
                let _ = gate.wait_for(|open| *open).await;
                Answer::Result(r#"{"content":[],"_meta":{"by":"the old one"}}"#.to_owned())
            })
        })
    })
    .await;
    program.write(&format!("backends:\n{}{}", slow.entry("slow"), raw_stdio_entry("raw", "modern", "")));
    program.generation(2).await;
    let calling = tokio::spawn(async move { client.call("slow__one", "{}").await });
    within("the call", arrival.recv()).await.unwrap();

    program.write("backends: {}\n");
    program.generation(3).await;
    eventually("the end of the idle process", async || old.iter().all(|pid| !is_alive(*pid)).then_some(()))
        .await;
    assert!(!calling.is_finished());
    release.send(true).unwrap();
    let answer = within("the answer", calling).await.unwrap();
    assert_eq!(answer.result_value()["_meta"]["by"], "the old one");
}

#[tokio::test]
async fn a_session_is_told_once_of_a_change_it_sees_and_not_of_one_it_does_not() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let client = crate::support::Client::legacy(&program.url).await;
    let listening = client.verb(http::Method::GET).header("accept", "text/event-stream").send();
    let mut events = Events::of(within("a stream", listening).await.unwrap());
    assert!(events.next_event().await.is_some(), "the stream is open");

    program.write(&format!("backends:\n{}", raw.entry_with("a", "timeouts: { call: 7s }")));
    program.generation(2).await;
    let entries = format!("{}{}{}", raw.entry("b"), raw.entry("c"), raw.entry_with("a", "prefix: z"));
    program.write(&format!("backends:\n{entries}"));
    program.generation(3).await;
    assert_eq!(events.next().await.unwrap().method, TOOLS_CHANGED);
    program.write(&format!("backends:\n{}", raw.entry("a")));
    program.generation(4).await;
    assert_eq!(events.next().await.unwrap().method, TOOLS_CHANGED);
    program.serving.terminate();
    assert!(events.next().await.is_none(), "told twice of one change");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_named_with_its_place_everywhere() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let good = format!("backends:\n{}", raw.entry("a"));
    let program = Program::start(&good).await;
    program.write(&format!("{good}  b: {{ comand: x }}\n"));
    let problem = program.refusal().await;
    assert_eq!((problem["line"].as_u64(), problem["column"].as_u64()), (Some(5), Some(3)), "{problem}");
    let log = program.serving.log();
    assert!(log.contains("gateway.yaml:5:8") && log.contains("comand"), "{log}");
    assert_eq!(program.metric("switchyard_config_last_reload_successful").await, Some(0.0));
    assert_eq!(program.metric(r#"switchyard_config_reloads_total{result="refused"}"#).await, Some(1.0));
    assert_eq!(program.status().await["config"]["generation"], 1);
    assert!(program.modern().call("a__one", "{}").await.result.is_some());

    program.write(&good);
    eventually("the file is right again", async || {
        program.status().await["config"]["refused"].is_null().then_some(())
    })
    .await;
    assert_eq!(program.metric("switchyard_config_last_reload_successful").await, Some(1.0));
    assert_eq!(program.metric("switchyard_config_generation").await, Some(1.0));
}

#[tokio::test]
async fn a_hangup_reads_the_file_again_and_what_only_a_restart_changes_is_named() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    program.serving.hang_up();
    eventually("a look at the file", async || {
        program.serving.log().contains("nothing to change").then_some(())
    })
    .await;
    let entries = format!("state_dir: elsewhere\nbackends:\n{}", raw.entry("b"));
    program.write(&entries);
    program.generation(2).await;
    assert_eq!(program.status().await["config"]["needs_restart"], serde_json::json!(["state_dir"]));
    assert_eq!(program.modern().tools().await, ["b__one"]);
}

#[tokio::test]
async fn a_secret_that_changes_in_its_own_file_reaches_the_backend() {
    let seen = std::sync::Arc::new(Mutex::new(String::new()));
    let last = std::sync::Arc::clone(&seen);
    let raw = RawBackend::start(Speaks::Modern, ONE, move |asked| {
        *last.lock() = asked.headers["x-key"].to_str().unwrap().to_owned();
        None
    })
    .await;
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("key");
    fs::write(&secret, "old").unwrap();
    let header = format!("headers: {{ X-Key: \"${{file:{}}}\" }}", secret.display());
    let program = Program::start(&format!("backends:\n{}", raw.entry_with("a", &header))).await;
    eventually("the old secret", async || (*seen.lock() == "old").then_some(())).await;
    fs::write(&secret, "new").unwrap();
    program.generation(2).await;
    assert!(program.modern().call("a__one", "{}").await.result.is_some());
    assert_eq!(*seen.lock(), "new");
}

#[tokio::test]
async fn a_file_that_was_refused_for_a_missing_secret_is_in_force_once_the_secret_is_there() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("key");
    let header = format!("headers: {{ X-Key: \"${{file:{}}}\" }}", secret.display());
    program.write(&format!("backends:\n{}", raw.entry_with("a", &header)));
    program.refusal().await;
    fs::write(&secret, "new").unwrap();
    program.generation(2).await;
    assert!(program.status().await["config"]["refused"].is_null());
}

#[tokio::test]
async fn streams_of_a_client_that_is_gone_end_and_those_of_others_do_not() {
    let ((ann, ann_hash), (bob, bob_hash)) = (new_token().unwrap(), new_token().unwrap());
    let (ann_entry, bob_entry) = (
        format!("  ann: {{ token_sha256: {ann_hash} }}\n"),
        format!("  bob: {{ token_sha256: {bob_hash} }}\n"),
    );
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let of_both = format!("clients:\n{ann_entry}{bob_entry}backends:\n{}", raw.entry("a"));
    let program = Program::start(&of_both).await;
    let listen = async |token: &str| {
        let client = program.modern().with_token(token);
        let filter = r#""notifications":{"toolsListChanged":true}"#;
        let listening = client.request("1", "subscriptions/listen", filter, "").send();
        let mut events = Events::of(within("a stream", listening).await.unwrap());
        assert_eq!(events.next().await.unwrap().method, "notifications/subscriptions/acknowledged");
        events
    };
    let (mut anns, mut bobs) = (listen(&ann).await, listen(&bob).await);
    let sse = reqwest::Client::builder().no_proxy().build().unwrap();
    let sse = sse.get(program.url.replace("/mcp", "/sse")).header("accept", "text/event-stream");
    let opening = sse.header("authorization", format!("Bearer {ann}")).send();
    let mut pair = Events::of(within("a stream", opening).await.unwrap());
    assert_eq!(pair.next_named().await.unwrap().0, "endpoint");

    program.write(&format!("clients:\n{bob_entry}backends:\n{}", raw.entry("a")));
    program.generation(2).await;
    assert!(within("its end", anns.next()).await.is_some_and(|end| end.result.is_some()));
    assert!(within("its end", anns.next()).await.is_none());
    assert!(within("its end", pair.next_event()).await.is_none());
    program.write(&format!("clients:\n{bob_entry}backends:\n{}", raw.entry("b")));
    program.generation(3).await;
    assert_eq!(bobs.next().await.unwrap().method, TOOLS_CHANGED);
}

#[tokio::test]
async fn a_backend_that_is_replaced_is_told_what_clients_watch() {
    let raw = RawBackend::with_resource().await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let client = crate::support::Client::legacy(&program.url).await;
    let uri = client.ask("resources/list", "").await.result_value()["resources"][0]["uri"].clone();
    assert!(client.ask("resources/subscribe", &format!(r#""uri":{uri}"#)).await.result.is_some());
    assert_eq!(raw.asked("resources/subscribe").len(), 1);
    program.write(&format!("backends:\n{}", raw.entry_with("a", "timeouts: { call: 7s }")));
    eventually("the new connection to subscribe", async || {
        (raw.asked("resources/subscribe").len() == 2).then_some(())
    })
    .await;
}
