//! A server that does not have what it says it has, has what it does not say, or has only a part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
const RESOURCES: &str = r#"{"resources":[{"uri":"a://1","name":"1"}]}"#;
const UNKNOWN: &str = r#"{"code":-32601,"message":"method not found"}"#;

/// A legacy server of these capabilities (the text of the member, or nothing), with resources.
async fn server(
    capabilities: &str,
    tools: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (RawBackend, Yard) {
    let initialized = format!(r#"{{"protocolVersion":"2025-06-18",{capabilities}"serverInfo":null}}"#);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        Some(match asked.message.method.as_str() {
            "initialize" => Answer::Result(initialized.clone()),
            "tools/list" => tools(asked),
            "resources/list" => Answer::Result(RESOURCES.to_owned()),
            _ => return None,
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    (backend, yard)
}

async fn resources(yard: &Yard) -> usize {
    let listed = Client::modern(&yard.url).ask("resources/list", "").await.result_value();
    listed["resources"].as_array().unwrap().len()
}

async fn tools(yard: &Yard) -> Vec<String> {
    Client::modern(&yard.url).tools().await
}

fn state(yard: &Yard) -> &'static str {
    yard.backend("raw").snapshot.state
}

#[tokio::test]
async fn a_capability_that_is_null_or_false_or_whose_method_is_unknown_is_none() {
    for declared in ["null", "false", "{}", "[]", "true"] {
        let capabilities = format!(r#""capabilities":{{"tools":{declared},"resources":{{}}}},"#);
        let (backend, yard) = server(&capabilities, |_| Answer::Error(UNKNOWN.to_owned())).await;
        assert_eq!(state(&yard), "ready", "{declared}");
        assert_eq!((tools(&yard).await.len(), resources(&yard).await), (0, 1));
        let is_asked = !backend.asked("tools/list").is_empty();
        assert_eq!(is_asked, !matches!(declared, "null" | "false"), "{declared}");
    }
}

#[tokio::test]
async fn a_server_that_declares_nothing_is_asked_for_everything() {
    for capabilities in ["", r#""capabilities":null,"#, r#""capabilities":[],"#, r#""capabilities":{},"#] {
        let listed = format!(r#"{{"tools":{TOOLS},"nextCursor":""}}"#);
        let (_backend, yard) = server(capabilities, move |_| Answer::Result(listed.clone())).await;
        assert_eq!(state(&yard), "ready", "{capabilities}");
        assert_eq!((tools(&yard).await, resources(&yard).await), (vec!["raw__echo".to_owned()], 1));
    }
}

#[tokio::test]
async fn a_list_that_is_refused_leaves_the_others_and_is_told_to_the_operator() {
    let refusals: [fn() -> Answer; 3] = [
        || Answer::Error(r#"{"code":-32603,"message":"no database"}"#.to_owned()),
        || Answer::Http(500, "no database".to_owned()),
        || Answer::Http(200, "no database".to_owned()),
    ];
    for refusal in refusals {
        let (_backend, yard) =
            server(r#""capabilities":{"tools":{},"resources":{}},"#, move |_| refusal()).await;
        assert_eq!((state(&yard), resources(&yard).await), ("ready", 1));
        let warnings = yard.router.status().warnings;
        let is_told =
            warnings.iter().any(|warning| warning.starts_with("backend raw, `tools/list` is missing"));
        assert!(is_told, "{warnings:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_its_tools_and_has_nothing_else_is_not_ready() {
    let refused = |_: &Asked| Answer::Error(r#"{"code":-32603,"message":"no database"}"#.to_owned());
    let (_backend, yard) = server(r#""capabilities":{"tools":{}},"#, refused).await;
    assert_eq!(state(&yard), "down");
    let error = yard.backend("raw").snapshot.last_error.unwrap();
    assert_eq!(error, "`tools/list` was refused: no database");
}

#[tokio::test]
async fn a_page_that_fails_leaves_those_before_it() {
    let failures: [fn() -> Answer; 2] = [
        || Answer::Error(r#"{"code":-32602,"message":"bad cursor"}"#.to_owned()),
        || Answer::Http(500, String::new()),
    ];
    for failure in failures {
        let (_backend, yard) =
            server(r#""capabilities":{"tools":{}},"#, move |asked| match asked.message.param("cursor") {
                None => Answer::Result(format!(r#"{{"tools":{TOOLS},"nextCursor":2}}"#)),
                Some(cursor) => {
                    assert_eq!(cursor, "2", "a cursor comes back as it was spelt");
                    failure()
                }
            })
            .await;
        assert_eq!((state(&yard), tools(&yard).await), ("ready", vec!["raw__echo".to_owned()]));
        let warnings = yard.router.status().warnings;
        assert!(
            warnings.iter().any(|warning| warning.contains("cut at 1 entries: the next page")),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn what_a_refused_list_held_before_stays() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&is_broken);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let is_refused = breaks.load(Ordering::Relaxed) && asked.message.method == "tools/list";
        match asked.message.method.as_str() {
            "initialize" => Some(Answer::Result(r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"resources":{}},"serverInfo":{"name":"raw","version":"1"}}"#.to_owned())),
            "resources/list" => Some(Answer::Result(RESOURCES.to_owned())),
            _ => is_refused.then(|| Answer::Http(500, String::new())),
        }
    })
    .await;
    let yard = Yard::start(&format!("catalog: {{ refresh: 1s }}\nbackends:\n{}", backend.entry("raw"))).await;
    assert_eq!(tools(&yard).await, ["raw__echo"]);
    is_broken.store(true, Ordering::Relaxed);
    crate::support::eventually("a refused list", async || {
        let warnings = yard.router.status().warnings;
        warnings.iter().any(|warning| warning.contains("is missing")).then_some(())
    })
    .await;
    assert_eq!(tools(&yard).await, ["raw__echo"]);
}
