//! What do operators meet at the command line?

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::process::{Serving, run};
use crate::support::{Answer, RawBackend, Speaks, eventually};

/// What no terminal may be sent.
const EVIL: &str = "\u{1b}]0;PWNED\u{7}\u{1b}[2J\u{9b}0m\u{202e}txt\u{200b}\nFAKE LINE";

fn configured(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let listen = "server: { listen: '127.0.0.1:0' }\nadmin: { listen: '127.0.0.1:0' }\n";
    std::fs::write(directory.path().join("gateway.yaml"), format!("{listen}{text}")).unwrap();
    directory
}

fn text(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}

/// A backend whose every word is meant for a terminal.
async fn evil() -> RawBackend {
    let tools =
        json!([{"name": "t", "description": format!("says {EVIL}"), "inputSchema": {"type": "object"}}]);
    RawBackend::start(Speaks::Modern, &tools.to_string(), |asked| {
        let error = json!({"code": -32000, "message": EVIL}).to_string();
        (asked.message.method == "tools/call").then_some(Answer::Error(error))
    })
    .await
}

#[tokio::test]
async fn no_word_of_a_backend_reaches_the_terminal_as_a_command() {
    let backend = evil().await;
    let directory = configured(&format!("backends:\n{}", backend.entry("evil")));
    let shown = async |arguments: &[&str]| text(&run(directory.path(), arguments).await);
    for arguments in
        [&["list"][..], &["list", "--json"], &["call", "evil__t"], &["check"], &["check", "--json"]]
    {
        let shown = shown(arguments).await;
        assert!(shown.contains("evil") || shown.contains("PWNED"), "{shown}");
        for evil in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{200b}'] {
            assert!(!shown.contains(evil), "{arguments:?}: {shown}");
        }
        assert!(!shown.lines().any(|line| line.starts_with("FAKE LINE")), "{arguments:?}: {shown}");
    }
    let listed = run(directory.path(), &["list", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["description"], format!("says {EVIL}"), "JSON means the same");
}

#[tokio::test]
async fn what_a_tool_writes_reaches_a_program_as_it_is() {
    let backend =
        RawBackend::start(Speaks::Modern, r#"[{"name":"t","inputSchema":{"type":"object"}}]"#, |asked| {
            let result =
                json!({"content": [{"type": "text", "text": EVIL}], "resultType": "complete"}).to_string();
            (asked.message.method == "tools/call").then_some(Answer::Result(result))
        })
        .await;
    let directory = configured(&format!("backends:\n{}", backend.entry("b")));
    let called = run(directory.path(), &["call", "b__t"]).await;
    assert_eq!(String::from_utf8(called.stdout).unwrap(), format!("{EVIL}\n"));
}

#[tokio::test]
async fn a_call_asks_for_progress_and_lives_as_long_as_there_is_some() {
    let program = env!("CARGO_BIN_EXE_switchyard");
    let api = format!(
        "backends: {{ api: {{ command: '{program}', args: [demo, api, --port, '${{free_port}}'], \
         url: 'http://127.0.0.1:${{free_port}}/mcp', timeouts: {{ call: 2500ms }} }} }}"
    );
    let directory = configured(&api);
    let called = run(directory.path(), &["call", "api__slow_report", r#"{"seconds":4}"#]).await;
    let shown = text(&called);
    assert!(called.status.success(), "{shown}");
    assert!(shown.contains("progress 1 of 4: 1 of 4 seconds"), "{shown}");
}

#[tokio::test]
async fn the_status_of_a_running_gateway_is_shown_to_people_and_to_programs() {
    let directory = configured("backends: { gone: { command: /no/such/program } }");
    let serving = Serving::start(directory.path(), &["serve"]);
    let url = serving.said("status").await;
    let shown = eventually("the reason", async || {
        let shown = text(&run(directory.path(), &["status", "--url", &url]).await);
        shown.contains("/no/such/program").then_some(shown)
    })
    .await;
    for words in ["serving", "gone", "stdio", "down", "configuration 1 of", "sessions: 0 http"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let read = run(directory.path(), &["status", "--url", &url, "--json"]).await;
    let status: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(status["backends"][0]["name"], "gone");

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = http.get(&url).header("Accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "application/json");
    assert!(page.text().await.unwrap().contains("\n  \"backends\""));
    let lean = http.get(&url).send().await.unwrap().text().await.unwrap();
    assert_eq!(lean.lines().count(), 1);
}

#[tokio::test]
async fn without_a_gateway_the_status_says_so() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gateway.yaml"), "backends: {}\nadmin: { listen: '127.0.0.1:1' }\n")
        .unwrap();
    let shown = run(directory.path(), &["status"]).await;
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown).contains("is it running, with this configuration?"), "{}", text(&shown));
}

#[tokio::test]
async fn without_a_file_it_is_said_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let shown = run(directory.path(), &["serve"]).await;
    assert_eq!(shown.status.code(), Some(2));
    for words in ["gateway.yaml: cannot be read", "--config", "backends:"] {
        assert!(text(&shown).contains(words), "{}", text(&shown));
    }
}

#[tokio::test]
async fn a_pasted_file_is_right_and_check_notes_how_it_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/pasted_under_backends.yaml");
    let directory = tempfile::tempdir().unwrap();
    let checked = run(directory.path(), &["check", "--offline", "--config", path.to_str().unwrap()]).await;
    assert!(checked.status.success());
    let shown = text(&checked);
    assert!(
        shown.contains("note: 2:3: the entries of `mcpServers` are read as entries of `backends`"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_server_that_wants_a_key_is_told_from_one_that_wants_oauth() {
    let backend = RawBackend::start(Speaks::Modern, "[]", |_| Some(Answer::Http(401, "{}".to_owned()))).await;
    let directory = configured(&format!("backends:\n{}", backend.entry("keyed")));
    let shown = text(&run(directory.path(), &["check"]).await);
    assert!(shown.contains("under `headers`") && shown.contains("switchyard connect keyed"), "{shown}");
}
