//! Does `switchyard plan` say what a reload would do, and does the reload then do it?

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::process::run;
use crate::support::program::Program;
use crate::support::{Answer, RawBackend, Speaks, eventually};

const ONE: &str = r#"[{"name":"one","inputSchema":{"type":"object"}}]"#;

async fn plan(directory: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let planned = run(directory, &[&["plan", "--json"], arguments].concat()).await;
    (planned.status.code(), serde_json::from_slice(&planned.stdout).unwrap_or_default())
}

#[tokio::test]
async fn a_plan_names_what_comes_goes_and_changes_and_the_reload_does_just_that() {
    let tools = Arc::new(Mutex::new(ONE.to_owned()));
    let listed = Arc::clone(&tools);
    let script = move |asked: &crate::support::Asked| {
        (asked.message.method == "tools/list")
            .then(|| Answer::Result(format!(r#"{{"tools":{}}}"#, listed.lock())))
    };
    let (fixed, moving) = (
        RawBackend::start(Speaks::Modern, ONE, |_| None).await,
        RawBackend::start(Speaks::Modern, ONE, script).await,
    );
    let entries = format!("backends:\n{}{}", fixed.entry("goes"), fixed.entry("renames"));
    let program = Program::start(&format!("{entries}{}", moving.entry("alters"))).await;
    let directory = program.directory.path();
    eventually("the kept catalog", async || {
        let (code, planned) = plan(directory, &["--offline"]).await;
        (code == Some(0) && planned["after"]["tools"] == 3).then_some(())
    })
    .await;

    *tools.lock() = r#"[{"name":"one","inputSchema":{"type":"object","required":["x"]}}]"#.to_owned();
    let new = format!(
        "backends:\n{}{}{}",
        fixed.entry_with("renames", "type: http, rename: { one: uno }"),
        moving.entry_with("alters", "timeouts: { call: 7s }"),
        fixed.entry("comes"),
    );
    let good = fs::read_to_string(program.file()).unwrap();
    let head = good.split("backends:").next().unwrap();
    fs::write(directory.join("new.yaml"), format!("{head}{new}")).unwrap();
    let (code, planned) = plan(directory, &["new.yaml"]).await;
    assert_eq!(code, Some(2), "{planned}");
    let backends = &planned["backends"];
    assert_eq!((&backends["added"], &backends["removed"]), (&json!(["comes"]), &json!(["goes"])));
    assert_eq!(
        (&backends["altered"], &backends["shown_differently"]),
        (&json!(["alters"]), &json!(["renames"]))
    );
    let changes: Vec<_> = planned["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["change"].as_str().unwrap(), one["tool"].as_str().unwrap()))
        .collect();
    let expected = [
        ("schema", "alters__one"),
        ("added", "comes__one"),
        ("removed", "goes__one"),
        ("renamed", "renames__uno"),
    ];
    assert_eq!(changes, expected);
    let sum = |key: &str| planned[key]["tokens"].as_i64().unwrap();
    let delta: i64 =
        planned["tools"].as_array().unwrap().iter().map(|one| one["tokens"].as_i64().unwrap()).sum();
    assert_eq!(sum("after") - sum("before"), delta);

    assert_eq!(program.status().await["config"]["generation"], 1, "a plan changes nothing");
    program.swap(&new);
    program.generation(2).await;
    assert_eq!(program.modern().tools().await, ["renames__uno", "alters__one", "comes__one"]);
    assert_eq!(plan(directory, &[]).await.0, Some(0));
}

#[tokio::test]
async fn a_wrong_file_and_a_backend_out_of_reach_fail_the_plan_with_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, "backends: { x: { command: /no/such } }\n").unwrap();
    let (code, planned) = plan(directory.path(), &[]).await;
    assert_eq!(code, Some(1));
    assert!(planned["backends"]["not_reached"]["x"].as_str().unwrap().contains("/no/such"), "{planned}");
    assert_eq!(plan(directory.path(), &["--offline"]).await.0, Some(2));
    fs::write(directory.path().join("new.yaml"), "backends: { x: { comand: y } }\n").unwrap();
    let refused = run(directory.path(), &["plan", "new.yaml"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("new.yaml:1:"));
}
