//! What does the log say of requests that fail?

use switchyard::server::new_token;

use crate::support::program::Program;
use crate::support::{Answer, Client, RawBackend, Speaks, eventually};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
const SECRET: &str = "hunter2";

/// A backend whose answers are what the arguments ask for.
async fn failing() -> RawBackend {
    RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let arguments = asked.message.param("arguments").filter(|_| asked.message.method == "tools/call")?;
        Some(match arguments {
            text if text.contains("tool") => {
                Answer::Result(r#"{"content":[{"type":"text","text":"hunter2"}],"isError":true}"#.to_owned())
            }
            text if text.contains("rpc") => {
                Answer::Error(r#"{"code":-32055,"message":"hunter2"}"#.to_owned())
            }
            text if text.contains("http") => {
                Answer::Http(422, r#"{"error":"hunter2 is no kind"}"#.to_owned())
            }
            _ => Answer::HangUp,
        })
    })
    .await
}

/// The first line of the log that has all these words.
async fn line(program: &Program, words: &[&str]) -> String {
    eventually(&format!("a line with {words:?}"), async || {
        let log = program.serving.log();
        log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn each_failed_request_is_logged_with_who_and_why_and_nothing_it_held() {
    let backend = failing().await;
    let (token, hash) = new_token().unwrap();
    let clients = format!("clients:\n  ann: {{ token_sha256: {hash} }}\n");
    let program = Program::start(&format!("{clients}backends:\n{}", backend.entry("raw"))).await;
    let ann = Client::modern(&program.url).with_token(&token);
    eventually("the tool", async || ann.tools().await.contains(&"raw__echo".to_owned()).then_some(())).await;
    for kind in ["tool", "rpc", "lost", "http"] {
        ann.call("raw__echo", &format!(r#"{{"kind":"{kind}","s":"{SECRET}"}}"#)).await;
    }
    ann.call("raw__nothing", &format!(r#"{{"s":"{SECRET}"}}"#)).await;
    let stranger = Client::modern(&program.url).with_token("sy_hunter2");
    stranger.request("1", "tools/list", "", "").send().await.unwrap();
    let elsewhere = ann.request("1", "tools/list", "", "").header("host", "elsewhere.example");
    elsewhere.send().await.unwrap();
    let who = ["peer=127.0.0.1", "request_id=req-"];
    for words in [
        ["call failed", "error=\"tool_error\"", "principal=\"ann\""],
        ["call failed", "error=\"rpc_error\"", "principal=\"ann\""],
        ["call failed", "error=\"backend_lost\"", "principal=\"ann\""],
        ["call failed", "HTTP 422", "principal=\"ann\""],
        ["call refused", "name=\"raw__nothing\"", "principal=\"ann\""],
        ["request refused", "reason=\"unknown_token\"", "status=401"],
        ["request refused", "reason=\"host\"", "status=403"],
    ] {
        line(&program, &[&words[..], &who[..]].concat()).await;
    }
    assert!(!program.serving.log().contains(SECRET), "{}", program.serving.log());
}

#[tokio::test]
async fn a_client_that_fails_all_the_time_is_logged_a_few_times() {
    let backend = failing().await;
    let program = Program::start(&format!("backends:\n{}", backend.entry("raw"))).await;
    let client = Client::modern(&program.url);
    eventually("the tool", async || client.tools().await.contains(&"raw__echo".to_owned()).then_some(()))
        .await;
    for _ in 0..300 {
        client.call("raw__echo", r#"{"kind":"tool"}"#).await;
        client.call("raw__nothing", "{}").await;
    }
    let lines = program.serving.log().lines().filter(|line| line.contains("call ")).count();
    // Two kinds of failure with at most twenty lines for each half minute that the calls took.
    assert!((2..=150).contains(&lines), "{lines} lines\n{}", program.serving.log());
    assert!(
        program.metric("switchyard_suppressed_log_lines_total{kind=\"failed calls\"}").await > Some(400.0)
    );
}
