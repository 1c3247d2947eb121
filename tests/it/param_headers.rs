//! Arguments that headers repeat: checked on the client's hop, written anew on the backend's.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::support::message::error;
use crate::support::{Answer, Client, Message, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"plain","inputSchema":{"type":"object"}},
    {"name":"route","inputSchema":{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "options":{"type":"object","properties":{"retries":{"type":"integer","x-mcp-header":"Retries"}}}}}},
    {"name":"wrong","inputSchema":{"type":"object","properties":{"n":{"type":"number","x-mcp-header":"N"}}}}]"#;

const RENAMED: &str = r#"{"tools":[{"name":"route","inputSchema":{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Zone"}}}}]}"#;

const MISMATCH: &str = r#"{"code":-32020,"message":"the header Mcp-Param-Zone is missing"}"#;

async fn call(client: &Client, tool: &str, arguments: &str, headers: &[(&str, &str)]) -> (u16, Message) {
    let members = format!(r#""name":"{tool}","arguments":{arguments}"#);
    let request = client.request("1", "tools/call", &members, "");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), Message::parse(&response.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_stateless_client_must_repeat_what_the_tool_asks_for() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("b")).await;
    let client = Client::modern(&yard.url);
    let arguments = r#"{"region":"grüße","options":{"retries":42}}"#;
    let region = ("Mcp-Param-Region", "=?base64?Z3LDvMOfZQ==?=");
    let (status, answer) =
        call(&client, "b__route", arguments, &[region, ("mcp-param-retries", "42.0")]).await;
    assert_eq!((status, answer.error.as_deref()), (200, None));
    let refused: &[&[(&str, &str)]] = &[
        &[],
        &[region],
        &[region, ("mcp-param-retries", "43")],
        &[region, region, ("mcp-param-retries", "42")],
        &[("mcp-param-region", "=?base64?Z3LDvMOfZQ?="), ("mcp-param-retries", "42")],
        &[("mcp-param-region", "grüße"), ("mcp-param-retries", "42")],
    ];
    for headers in refused {
        let (status, answer) = call(&client, "b__route", arguments, headers).await;
        assert_eq!((status, &answer.error_value()["code"]), (400, &(-32020).into()), "{headers:?}");
    }
    assert_eq!(backend.asked("tools/call").len(), 1, "what is refused is not sent");
    for arguments in [r#"{"region":null}"#, "{}"] {
        assert_eq!(call(&client, "b__route", arguments, &[]).await.0, 200, "{arguments}");
    }
}

#[tokio::test]
async fn every_client_s_arguments_are_repeated_towards_a_modern_backend_and_no_header_is_passed_on() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("b")).await;
    let (modern, legacy) = (Client::modern(&yard.url), Client::legacy(&yard.url).await);
    let arguments = r#"{"region":" padded ","options":{"retries":42.0}}"#;
    let own = [
        ("mcp-param-region", "=?base64?IHBhZGRlZCA=?="),
        ("mcp-param-retries", "4.2e1"),
        ("mcp-param-other", "x"),
    ];
    for (client, headers) in [(&modern, &own[..]), (&legacy, &own[2..])] {
        assert_eq!(call(client, "b__route", arguments, headers).await.0, 200);
        let sent = backend.asked("tools/call").pop().unwrap().headers;
        assert_eq!(sent["mcp-param-region"], "=?base64?IHBhZGRlZCA=?=");
        assert_eq!(sent["mcp-param-retries"], "42");
        assert!(!sent.contains_key("mcp-param-other"));
    }
    assert_eq!(call(&modern, "b__plain", r#"{"region":"x"}"#, &[]).await.0, 200);
    let sent = backend.asked("tools/call").pop().unwrap().headers;
    assert!(!sent.keys().any(|name| name.as_str().starts_with("mcp-param-")), "{sent:?}");
}

#[tokio::test]
async fn a_tool_nobody_can_call_rightly_is_not_shown() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry("b")).await;
    assert_eq!(Client::modern(&yard.url).tools().await, ["b__plain", "b__route"]);
    assert!(yard.router.status().warnings.iter().any(|warning| warning.contains("\"wrong\"")));
}

/// A backend that has other tools now than it listed, and refuses what fits the old ones with `status`.
async fn renamed(status: u16) -> (RawBackend, Yard) {
    let tools = Arc::new(Mutex::new(format!(r#"{{"tools":{TOOLS}}}"#)));
    let listed = Arc::clone(&tools);
    let backend = RawBackend::start(Speaks::Modern, "[]", move |asked| match asked.message.method.as_str() {
        "tools/list" => Some(Answer::Result(listed.lock().clone())),
        "tools/call" if !asked.headers.contains_key("mcp-param-zone") => {
            Some(Answer::Http(status, error(asked.message.id.as_ref()?, MISMATCH)))
        }
        _ => None,
    })
    .await;
    let yard = Yard::of(&backend.entry("b")).await;
    *tools.lock() = RENAMED.to_owned();
    (backend, yard)
}

#[tokio::test]
async fn a_call_refused_for_its_headers_is_made_once_more_with_those_of_the_new_schema() {
    let (backend, yard) = renamed(400).await;
    let client = Client::modern(&yard.url);
    let region = [("mcp-param-region", "x")];
    let (status, answer) = call(&client, "b__route", r#"{"region":"x"}"#, &region).await;
    assert_eq!((status, answer.error.as_deref()), (200, None));
    let calls = backend.asked("tools/call");
    let [first, second] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert_eq!(
        (&first.headers["mcp-param-region"], &second.headers["mcp-param-zone"]),
        (&"x".parse().unwrap(), &"x".parse().unwrap())
    );
    assert_ne!(first.message.id, second.message.id);
    assert_eq!(first.message.param("arguments"), second.message.param("arguments"));
}

#[tokio::test]
async fn a_call_is_made_once_where_the_new_schema_asks_for_nothing_else() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let is_call = asked.message.method == "tools/call";
        is_call.then(|| Answer::Http(400, error(asked.message.id.as_deref().unwrap_or("0"), MISMATCH)))
    })
    .await;
    let yard = Yard::of(&backend.entry("b")).await;
    let (_, answer) = call(&Client::modern(&yard.url), "b__plain", "{}", &[]).await;
    assert_eq!(answer.error_value()["code"], -32603);
    assert_eq!(backend.asked("tools/call").len(), 1);
}

#[tokio::test]
async fn a_mismatch_that_is_no_refusal_is_not_repeated_but_listed_anew_and_the_client_not_blamed() {
    let (backend, yard) = renamed(200).await;
    let client = Client::modern(&yard.url);
    let (_, answer) = call(&client, "b__route", r#"{"region":"x"}"#, &[("mcp-param-region", "x")]).await;
    let error = answer.error.unwrap();
    assert!(error.contains(r#""code":-32603"#) && error.contains(MISMATCH), "{error}");
    assert_eq!(backend.asked("tools/call").len(), 1, "it may have run");
    eventually("the new header is asked for", async || {
        let (status, _) = call(&client, "b__route", r#"{"region":"x"}"#, &[("mcp-param-zone", "x")]).await;
        (status == 200).then_some(())
    })
    .await;
}
