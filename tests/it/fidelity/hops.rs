//! A call and its answer, over every combination of eras and transports.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::text;
use crate::support::gateway::raw_stdio_entry;
use crate::support::{Answer, Asked, Client, Message, RawBackend, Speaks, Yard, member};

const TOOLS: &str =
    r#"[{"name":"echo","inputSchema":{"type":"object"}},{"name":"fail","inputSchema":{"type":"object"}}]"#;
const CASES: u32 = 64;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A gateway, both kinds of backend behind it over HTTP and over pipes, both kinds of client before it.
struct Scene {
    _yard: Yard,
    backends: [RawBackend; 2],
    clients: [Client; 2],
}

const OVER_HTTP: [&str; 2] = ["legacy", "modern"];
const OVER_PIPES: [&str; 2] = ["legacypipe", "modernpipe"];

impl Scene {
    async fn set() -> Self {
        let backends = [
            RawBackend::start(Speaks::Legacy, TOOLS, answer).await,
            RawBackend::start(Speaks::Modern, TOOLS, answer).await,
        ];
        let mut entries: String =
            OVER_HTTP.iter().zip(&backends).map(|(name, backend)| backend.entry(name)).collect();
        for (name, era) in OVER_PIPES.iter().zip(["legacy", "modern"]) {
            entries += &raw_stdio_entry(name, era, "");
        }
        let yard = Yard::of(&entries).await;
        let clients = [Client::legacy(&yard.url).await, Client::modern(&yard.url)];
        Self { _yard: yard, backends, clients }
    }
}

/// Answers with what it was sent, and with a member that no revision knows.
fn answer(asked: &Asked) -> Option<Answer> {
    let arguments = asked.message.param("arguments")?;
    match asked.message.param("name")?.as_str() {
        r#""echo""# => {
            Some(Answer::Result(format!(r#"{{ "content" : [],"echo":{arguments},"unknown":{arguments}}}"#)))
        }
        _ => Some(Answer::Error(format!(
            r#"{{"code":-31999,"more":{arguments} ,"message":"no","data":{arguments}}}"#
        ))),
    }
}

fn run(strategy: impl Strategy<Value = String>, check: impl AsyncFn(&Scene, &str)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let scene = runtime.block_on(Scene::set());
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&strategy, |text| {
        runtime.block_on(check(&scene, &text));
        Ok::<(), TestCaseError>(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What the client gets of a whole result: as it was, but for the type that modern results must have.
fn assert_result(answer: &Message, sent: &str) {
    let got = answer.result.as_deref().unwrap_or_else(|| panic!("no result but {answer:?}"));
    let typed = got.strip_prefix(r#"{"resultType":"complete","#).map(|rest| format!("{{{rest}"));
    // A call that takes a moment is answered as an event: on a busy machine any may.
    assert_eq!(typed.as_deref().unwrap_or(got), answer.as_carried(sent));
}

#[test]
fn arguments_unknown_parameters_and_results_pass_every_http_hop_byte_for_byte() {
    run(text::value(true), async |scene, text| {
        for client in &scene.clients {
            for (name, backend) in OVER_HTTP.iter().zip(&scene.backends) {
                let members = format!(r#""more":{text},"name":"{name}__echo","arguments":{text}"#);
                let answer = client.ask("tools/call", &members).await;
                assert_result(&answer, &format!(r#"{{ "content" : [],"echo":{text},"unknown":{text}}}"#));
                let asked = backend.asked("tools/call").pop().unwrap();
                assert_eq!(asked.message.param("arguments").as_deref(), Some(text));
                assert_eq!(asked.message.param("more").as_deref(), Some(text));
                assert_eq!(asked.message.param("name").as_deref(), Some("\"echo\""));
            }
        }
    });
}

#[test]
fn error_objects_pass_every_http_hop_byte_for_byte() {
    run(text::value(true), async |scene, text| {
        for client in &scene.clients {
            for name in OVER_HTTP {
                let answer = client.call(&format!("{name}__fail"), text).await;
                let sent = format!(r#"{{"code":-31999,"more":{text} ,"message":"no","data":{text}}}"#);
                assert_eq!(answer.error.as_deref(), Some(answer.as_carried(&sent).as_str()));
            }
        }
    });
}

#[test]
fn arguments_results_and_errors_pass_a_pipe_byte_for_byte() {
    run(text::value(false), async |scene, text| {
        for client in &scene.clients {
            for name in OVER_PIPES {
                let members = format!(r#""name":"{name}__echo","arguments":{text},"more":{text}"#);
                let result = client.ask("tools/call", &members).await.result.unwrap();
                assert_eq!(member(&result, "echo").as_deref(), Some(text));
                let seen: String = serde_json::from_str(&member(&result, "seen").unwrap()).unwrap();
                assert_eq!(member(&seen, "arguments").as_deref(), Some(text));
                assert_eq!(member(&seen, "more").as_deref(), Some(text));
                let failed = client.call(&format!("{name}__fail"), text).await;
                assert_eq!(member(&failed.error.unwrap(), "data").as_deref(), Some(text));
            }
        }
    });
}

#[test]
fn a_line_break_between_tokens_becomes_a_blank_on_a_pipe_and_nothing_else_changes() {
    run(text::value(true), async |scene, text| {
        let flat = text.replace(['\n', '\r'], " ");
        for name in OVER_PIPES {
            let result = scene.clients[1].call(&format!("{name}__echo"), text).await.result.unwrap();
            assert_eq!(member(&result, "echo"), Some(flat.clone()));
        }
    });
}

#[test]
fn meta_of_vendors_and_trace_context_pass_byte_for_byte() {
    run(text::value(true), async |scene, text| {
        for client in &scene.clients {
            for (name, backend) in OVER_HTTP.iter().zip(&scene.backends) {
                let members = format!(r#""name":"{name}__echo","arguments":{{}}"#);
                let meta = format!(
                    r#""com.example/x":{text},"traceparent":"{PARENT}","tracestate":"a=1,b=2","baggage":"k=v""#
                );
                let answers = client.exchange(client.request("7", "tools/call", &members, &meta)).await;
                assert!(answers[0].result.is_some(), "{answers:?}");
                let meta = backend.asked("tools/call").pop().unwrap().message.param("_meta").unwrap();
                assert_eq!(member(&meta, "com.example/x").as_deref(), Some(text));
                for (key, sent) in [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("baggage", "k=v")] {
                    assert_eq!(member(&meta, key), Some(format!(r#""{sent}""#)));
                }
            }
        }
    });
}

#[tokio::test]
async fn trace_context_passes_every_pipe_beside_what_belongs_to_the_hop() {
    let scene = Scene::set().await;
    let traced = [
        ("traceparent", r#""00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01""#),
        ("tracestate", r#""rojo=00f067aa0ba902b7,congo=t61rcWkgMzE""#),
        ("baggage", r#""userId=alice,serverNode=DF%2028""#),
    ];
    let meta: Vec<String> = traced.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
    let meta = format!(r#"{},"progressToken":"mine""#, meta.join(","));
    for client in &scene.clients {
        for name in OVER_PIPES {
            let members = format!(r#""name":"{name}__echo","arguments":{{}}"#);
            let answers = client.exchange(client.request("7", "tools/call", &members, &meta)).await;
            let seen = answers.last().unwrap().result_of("seen").unwrap();
            let seen = member(&serde_json::from_str::<String>(&seen).unwrap(), "_meta").unwrap();
            for (key, sent) in traced {
                assert_eq!(member(&seen, key).as_deref(), Some(sent), "{name}: {seen}");
            }
            assert_ne!(member(&seen, "progressToken").as_deref(), Some(r#""mine""#), "a token is of one hop");
            let is_modern = name == "modernpipe";
            let version = member(&seen, "io.modelcontextprotocol/protocolVersion");
            assert_eq!(version.as_deref(), is_modern.then_some(r#""2026-07-28""#), "{name}: {seen}");
        }
    }
}

#[tokio::test]
async fn a_malformed_trace_goes_no_further_and_headers_name_one_where_the_body_does_not() {
    const MALFORMED: &str = r#""traceparent":"00-a-b-01","tracestate":"a=1","x":1"#;
    let scene = Scene::set().await;
    let (own, other) = (format!(r#""traceparent":"{PARENT}","tracestate":"a=1""#), PARENT.replace('7', "8"));
    let (own_trace, other_trace) = (Some((PARENT, "a=1")), Some((&*other, "b=2,c=3")));
    // What `_meta` says, whether headers name the other trace, and what the backend hears.
    let table = [
        (&*own, true, own_trace),
        (MALFORMED, false, None),
        (MALFORMED, true, other_trace),
        ("", true, other_trace),
    ];
    for client in &scene.clients {
        for (name, backend) in OVER_HTTP.iter().zip(&scene.backends) {
            for (meta, is_in_headers, trace) in table {
                let members = format!(r#""name":"{name}__echo","arguments":{{}}"#);
                let mut request = client.request("7", "tools/call", &members, meta);
                if is_in_headers {
                    request = request.header("traceparent", &other);
                    request = request.header("tracestate", "b=2").header("tracestate", "c=3");
                }
                assert!(client.exchange(request).await[0].result.is_some());
                let asked = backend.asked("tools/call").pop().unwrap();
                let said = asked.message.param("_meta").unwrap_or_default();
                let headers = |key| asked.headers.get(key).map(|value| value.to_str().unwrap());
                let (parent, state) = trace.unzip();
                for (key, value) in [("traceparent", parent), ("tracestate", state)] {
                    assert_eq!(member(&said, key), value.map(|value| format!(r#""{value}""#)), "{said}");
                    assert_eq!(headers(key), value);
                }
            }
        }
    }
}
