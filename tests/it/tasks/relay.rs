//! Modern clients before a modern backend: everything but the task's id passes as it came.

use serde_json::json;
use switchyard::server::new_token;

use super::FOLLOWS;
use crate::support::client::Events;
use crate::support::program::Program;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually, within};

pub(super) const TOOLS: &str = r#"[{"name":"dig","inputSchema":{"type":"object"}}]"#;
pub(super) const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"ttlMs":0,"cacheScope":"private"}"#;
pub(super) const STANDING: &str = r#""createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":6e4,"pollIntervalMs":1.0e1"#;

/// Makes a task `t/1` of each call whose client can follow it, and is done with it when it is asked.
async fn digging() -> RawBackend {
    RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let params = asked.message.params.clone().unwrap_or_default();
        let text = match asked.message.method.as_str() {
            "server/discover" => DISCOVERED.to_owned(),
            "tools/call" if params.contains("modelcontextprotocol/tasks") => {
                format!(r#"{{"resultType":"task","taskId":"t/1","status":"working",{STANDING}}}"#)
            }
            "tasks/get" => format!(
                r#"{{"resultType":"complete","taskId":"t/1","status":"completed",{STANDING},"result":{{"content":[],"n":1.50}}}}"#
            ),
            "tasks/update" | "tasks/cancel" => r#"{"resultType":"complete"}"#.to_owned(),
            _ => return None,
        };
        Some(Answer::Result(text))
    })
    .await
}

async fn created(client: &Client) -> String {
    let created = client.call("raw__dig", "{}").await;
    assert_eq!(created.result_of("resultType").as_deref(), Some(r#""task""#), "{created:?}");
    created.result_of("taskId").unwrap()
}

fn the_only(asked: Vec<Asked>) -> Asked {
    let [asked] = asked.as_slice() else { panic!("{} requests", asked.len()) };
    asked.clone()
}

#[tokio::test]
async fn a_task_is_followed_under_an_id_that_only_the_gateway_can_read() {
    let backend = digging().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    let id = created(&client).await;
    assert!(!id.contains("t/1"));

    let got = client.ask("tasks/get", &format!(r#""taskId":{id}"#)).await;
    assert_eq!(
        got.result.unwrap(),
        format!(
            r#"{{"resultType":"complete","taskId":{id},"status":"completed",{STANDING},"result":{{"content":[],"n":1.50}}}}"#
        )
    );
    let responses = r#"{"k 1":{"action":"accept","content":{"n":1.0}}}"#;
    client
        .ask("tasks/update", &format!(r#""taskId":{id},"inputResponses":{responses}"#))
        .await
        .result_value();
    client.ask("tasks/cancel", &format!(r#""taskId":{id}"#)).await.result_value();

    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let asked = the_only(backend.asked(method));
        assert_eq!(asked.message.param("taskId").as_deref(), Some(r#""t/1""#));
        assert_eq!(asked.headers["mcp-name"], "t/1", "{method}");
    }
    let updated = the_only(backend.asked("tasks/update"));
    assert_eq!(updated.message.param("inputResponses").as_deref(), Some(responses));
}

#[tokio::test]
async fn an_id_that_is_another_principals_is_as_unknown_as_one_that_never_was() {
    let backend = digging().await;
    let ((ann, ann_hash), (bob, bob_hash)) = (new_token().unwrap(), new_token().unwrap());
    let clients =
        format!("clients:\n  ann: {{ token_sha256: {ann_hash} }}\n  bob: {{ token_sha256: {bob_hash} }}\n");
    let yard = Yard::start(&format!("{clients}backends:\n{}", backend.entry("raw"))).await;
    let client = |token: &str| Client::modern(&yard.url).able(FOLLOWS).with_token(token);
    let (ann, bob) = (client(&ann), client(&bob));
    let id = created(&ann).await;
    let middle = id.len() / 2;
    let other = if &id[middle..=middle] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &id[..middle], &id[middle + 1..]);
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let mut refusals = Vec::new();
        for (client, id) in [(&bob, id.as_str()), (&ann, &altered), (&ann, r#""t/1""#)] {
            let mut error = client.ask(method, &format!(r#""taskId":{id}"#)).await.error_value();
            assert_eq!(error["code"], -32602, "{error}");
            error["data"]["request_id"].take();
            refusals.push(error);
        }
        assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]), "{refusals:?}");
        assert!(backend.asked(method).is_empty());
    }
    ann.ask("tasks/get", &format!(r#""taskId":{id}"#)).await.result_value();
}

#[tokio::test]
async fn another_server_that_has_the_name_now_is_not_asked_for_the_tasks_of_the_one_before() {
    let (before, now) = (digging().await, digging().await);
    let program = Program::start(&format!("backends:\n{}", before.entry("raw"))).await;
    let client = program.modern().able(FOLLOWS);
    eventually("its tools", async || (!client.tools().await.is_empty()).then_some(())).await;
    let get = format!(r#""taskId":{}"#, created(&client).await);
    let filter = format!(r#""notifications":{{"taskIds":[{}]}}"#, get.trim_start_matches(r#""taskId":"#));
    program.write(&format!("backends:\n{}", before.entry_with("raw", "timeouts: { call: 7s }")));
    program.generation(2).await;
    client.ask("tasks/get", &get).await.result_value();
    program.write(&format!("backends:\n{}", now.entry("raw")));
    program.generation(3).await;
    assert_eq!(client.ask("tasks/get", &get).await.error_value()["code"], -32602);
    let listening = within("a stream", client.request("9", "subscriptions/listen", &filter, "").send()).await;
    let told = Events::of(listening.unwrap()).next().await.unwrap();
    assert!(!told.params.unwrap().contains("taskIds"));
    assert!(now.asked("tasks/get").is_empty());
}

#[tokio::test]
async fn a_client_that_did_not_declare_tasks_has_none() {
    let backend = digging().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
        let called = client.ask("tools/call", r#""name":"raw__dig","arguments":{},"task":{"ttl":1}"#).await;
        assert_eq!(called.result_value()["content"], json!([]));
    }
    assert!(backend.asked("tools/call").iter().all(|asked| asked.message.param("task").is_none()));
    let id = created(&Client::modern(&yard.url).able(FOLLOWS)).await;
    let refused =
        Client::modern(&yard.url).ask("tasks/get", &format!(r#""taskId":{id}"#)).await.error_value();
    assert_eq!(refused["code"], -32021);
    let required = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    assert_eq!(refused["data"]["requiredCapabilities"], required);
    let legacy = Client::legacy(&yard.url).await;
    assert_eq!(legacy.ask("tasks/get", &format!(r#""taskId":{id}"#)).await.error_value()["code"], -32601);
}

#[tokio::test]
async fn tasks_are_offered_to_modern_clients_if_a_backend_makes_any() {
    let (making, plain) = (digging().await, RawBackend::start(Speaks::Modern, "[]", |_| None).await);
    let offered = json!({"io.modelcontextprotocol/tasks": {}});
    for (entries, extensions) in
        [(making.entry("raw") + &plain.entry("plain"), Some(&offered)), (plain.entry("plain"), None)]
    {
        let yard = Yard::of(&entries).await;
        let discovered = Client::modern(&yard.url).ask("server/discover", "").await.result_value();
        assert_eq!(discovered["capabilities"].get("extensions"), extensions);
    }
    let yard = Yard::of(&making.entry("raw")).await;
    let client = Client::modern(&yard.url).able(FOLLOWS);
    for method in ["tasks/list", "tasks/result"] {
        let response = client.request("1", method, "", "").send().await.unwrap();
        assert_eq!(response.status(), 404, "{method}");
    }
}
