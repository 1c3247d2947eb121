//! Does the program do what its help says, as a process of its own?

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::process::{Serving, children, is_alive, run};
use crate::support::{Client, demo, eventually, within};

/// The shipped configuration in a directory of its own, with free ports and this very program.
fn shipped() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("gateway.yaml")).unwrap();
    assert!(text.contains("127.0.0.1:8080") && text.contains("127.0.0.1:8081"));
    let text = text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8081", "127.0.0.1:0");
    std::fs::write(directory.path().join("gateway.yaml"), text).unwrap();
    directory
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn get(url: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = within(url, http.get(url).send()).await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_shipped_configuration_serves_and_sigterm_ends_it_with_nothing_left() {
    let directory = shipped();
    let mut serving = Serving::start(directory.path(), &["serve"]);
    let client = Client::modern(&serving.said("endpoint").await);
    eventually("all fifteen tools", async || (client.tools().await.len() == 15).then_some(())).await;
    for (tool, arguments) in [
        ("crm__get_customer", r#"{"id":1}"#),
        ("api__check_stock", r#"{"sku":"TEA-100"}"#),
        ("search__search_docs", r#"{"query":"breaker"}"#),
    ] {
        assert!(client.call(tool, arguments).await.result_value()["structuredContent"].is_object(), "{tool}");
    }
    let status: Value = serde_json::from_str(&get(&serving.said("status").await).await).unwrap();
    let states: Vec<_> = status["backends"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["ready"; 3]);
    let metrics = get(&serving.said("metrics").await).await;
    let counted =
        metrics.lines().find(|line| line.contains("crm__get_customer") && line.contains("outcome=\"ok\""));
    assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{metrics}");

    let processes = children(serving.pid());
    assert_eq!(processes.len(), 3, "one process for each backend");
    serving.terminate();
    assert_eq!(serving.ended().await.code(), Some(0), "{}", serving.log());
    eventually("the end of all of them", async || processes.iter().all(|pid| !is_alive(*pid)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_call_in_flight_is_finished_before_the_program_ends() {
    let directory = shipped();
    let mut serving = Serving::start(directory.path(), &["serve"]);
    let client = Client::modern(&serving.said("endpoint").await);
    let request = client.request(
        "1",
        "tools/call",
        r#""name":"api__slow_report","arguments":{"seconds":2}"#,
        r#""progressToken":1"#,
    );
    let mut events = crate::support::client::Events::of(within("a response", request.send()).await.unwrap());
    assert_eq!(events.next().await.unwrap().method, "notifications/progress");
    serving.terminate();
    let mut last = events.next().await.unwrap();
    while last.result.is_none() {
        last = events.next().await.unwrap();
    }
    assert_eq!(last.result_value()["structuredContent"]["seconds"], 2);
    assert_eq!(serving.ended().await.code(), Some(0), "{}", serving.log());
}

#[tokio::test]
async fn check_reaches_every_backend_and_offline_reaches_none() {
    let directory = shipped();
    let report = json(&run(directory.path(), &["check", "--json"]).await);
    assert_eq!(report["ok"], true, "{report}");
    let tools: Vec<_> = report["backends"].as_array().unwrap().iter().map(|one| &one["tools"]).collect();
    assert_eq!(tools.iter().filter_map(|tools| tools.as_u64()).sum::<u64>(), 15);
    let offline = shipped();
    let checked = run(offline.path(), &["check", "--offline"]).await;
    assert_eq!(checked.status.code(), Some(0));
    assert!(stdout(&checked).contains("3 backends (not reached)"), "{}", stdout(&checked));
    assert!(!offline.path().join(".switchyard").exists(), "a backend was started");
}

#[tokio::test]
async fn a_broken_file_ends_with_two_and_names_every_place() {
    let directory = tempfile::tempdir().unwrap();
    let text = "server:\n  listen: nowhere\nbackends:\n  crm:\n    comand: x\n";
    std::fs::write(directory.path().join("gateway.yaml"), text).unwrap();
    for arguments in [&["check", "--offline"][..], &["serve"], &["list"]] {
        let refused = run(directory.path(), arguments).await;
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        for place in ["gateway.yaml:2:11", "gateway.yaml:5:5"] {
            assert!(stderr(&refused).contains(place), "{}", stderr(&refused));
        }
    }
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_fails_the_check_with_one() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gateway.yaml"), "backends: { x: { command: /no/such } }\n")
        .unwrap();
    let checked = run(directory.path(), &["check"]).await;
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains("/no/such"), "{}", stdout(&checked));
}

#[tokio::test]
async fn list_and_call_work_without_a_gateway_and_through_a_running_one() {
    let directory = shipped();
    let listed = json(&run(directory.path(), &["list", "--json"]).await);
    assert_eq!(listed.as_array().unwrap().len(), 15);
    let call = ["call", "crm__get_customer", r#"{"id":1}"#, "--json"];
    let called = json(&run(directory.path(), &call).await);
    assert_eq!(called["structuredContent"]["id"], 1);
    let failed = run(directory.path(), &["call", "crm__get_customer", r#"{"id":0}"#]).await;
    assert_eq!(failed.status.code(), Some(1));

    let serving = Serving::start(directory.path(), &["serve"]);
    let url = serving.said("endpoint").await;
    let listed = json(&run(directory.path(), &["list", "--json", "--url", &url]).await);
    assert_eq!(listed.as_array().unwrap().len(), 15);
    let called = json(&run(directory.path(), &[&call[..], &["--url", &url]].concat()).await);
    assert_eq!(called["structuredContent"]["id"], 1);
}

#[tokio::test]
async fn a_new_token_opens_the_gateway_that_has_its_hash() {
    let directory = tempfile::tempdir().unwrap();
    let made = json(&run(directory.path(), &["token", "new", "ann", "--json"]).await);
    let (token, hash) = (made["token"].as_str().unwrap(), made["token_sha256"].as_str().unwrap());
    let yaml = format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nadmin: {{ enabled: false }}\nclients: {{ ann: {{ token_sha256: {hash} }} }}\n{}",
        demo::backends()
    );
    std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
    let serving = Serving::start(directory.path(), &["serve"]);
    let url = serving.said("endpoint").await;
    let listed = json(&run(directory.path(), &["list", "--json", "--url", &url, "--token", token]).await);
    assert_eq!(listed.as_array().unwrap().len(), 15);
    let refused = run(directory.path(), &["list", "--url", &url]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(!stderr(&refused).contains(token) && !serving.log().contains(token));
}

#[tokio::test]
async fn the_published_schema_is_the_programs_own() {
    let printed = run(Path::new("/"), &["schema"]).await;
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gateway.schema.json");
    let published = std::fs::read_to_string(published).unwrap();
    assert_eq!(
        stdout(&printed),
        published,
        "`switchyard schema > docs/gateway.schema.json` brings it up to date"
    );
}

#[tokio::test]
async fn before_the_drain_it_is_not_ready_and_serves_for_as_long_as_operators_say() {
    let directory = shipped();
    let path = directory.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("server:\n", "server:\n  drain_lead: 60s\n", 1)).unwrap();
    let mut serving = Serving::start(directory.path(), &["serve"]);
    let (endpoint, status) = (serving.said("endpoint").await, serving.said("status").await);
    let ready = status.replace("/status", "/readyz");
    assert_eq!(get(&ready).await, "ready\n");
    serving.terminate();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    eventually("not ready", async || {
        let response = http.get(&ready).send().await.unwrap();
        (response.status() == 503 && response.text().await.unwrap() == "leaving\n").then_some(())
    })
    .await;
    // On a connection that was not there before.
    let discovered = Client::modern(&endpoint).ask("server/discover", "").await;
    assert!(discovered.result.is_some());
    let status: Value = serde_json::from_str(&get(&status).await).unwrap();
    assert_eq!(status["server"]["state"], "leaving");
    // The second signal waits for nothing.
    serving.terminate();
    serving.ended().await;
}
