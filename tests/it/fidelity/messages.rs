//! Everything beside arguments and results of tools: ids, progress, log messages, prompts, resources.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use tokio::sync::mpsc;

use super::text;
use crate::support::message::{notification, result};
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, member};

const CASES: usize = 32;
const CAPABILITIES: &str = r#""capabilities":{"tools":{},"prompts":{},"resources":{},"logging":{}}"#;

/// Tells how far it is and what it does, then answers, all with the arguments inside.
fn answer(asked: &Asked) -> Option<Answer> {
    let text = match asked.message.method.as_str() {
        "server/discover" => {
            format!(r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],{CAPABILITIES}}}"#)
        }
        "initialize" => format!(
            r#"{{"protocolVersion":"2025-11-25",{CAPABILITIES},"serverInfo":{{"name":"raw","version":"1"}}}}"#
        ),
        "prompts/list" => r#"{"prompts":[{"name":"p"}]}"#.to_owned(),
        "resources/list" => r#"{"resources":[{"name":"r","uri":"raw://r"}]}"#.to_owned(),
        "prompts/get" => format!(r#"{{"messages":[],"x":{}}}"#, asked.message.param("arguments")?),
        "resources/read" => {
            format!(r#"{{"contents":[{{"uri":"raw://r","x":{0}}}],"x":{0}}}"#, asked.message.param("more")?)
        }
        "tools/call" => return told(asked),
        _ => return None,
    };
    Some(Answer::Result(text))
}

fn told(asked: &Asked) -> Option<Answer> {
    let text = asked.message.param("arguments")?;
    let token = member(&asked.message.param("_meta")?, "progressToken")?;
    let progress = format!(r#"{{"x":{text},"progressToken":{token},"progress":1.0,"_meta":{{"y":{text}}}}}"#);
    let log = format!(r#"{{"level":"error","data":{text},"x":{text}}}"#);
    let (events, stream) = mpsc::channel(3);
    events.try_send(notification("notifications/progress", &progress)).unwrap();
    events.try_send(notification("notifications/message", &log)).unwrap();
    events.try_send(result(asked.message.id.as_deref()?, r#"{"content":[]}"#)).unwrap();
    Some(Answer::Events(stream))
}

struct Scene {
    _backend: RawBackend,
    _yard: Yard,
    clients: [Client; 2],
}

async fn scene(speaks: Speaks) -> Scene {
    let backend =
        RawBackend::start(speaks, r#"[{"name":"t","inputSchema":{"type":"object"}}]"#, answer).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let clients = [Client::legacy(&yard.url).await, Client::modern(&yard.url)];
    let set = clients[0].ask("logging/setLevel", r#""level":"debug""#).await;
    assert!(set.result.is_some(), "{set:?}");
    Scene { _backend: backend, _yard: yard, clients }
}

/// Some values without carriage returns, which an event stream turns into line feeds.
fn values() -> Vec<String> {
    let mut runner = TestRunner::default();
    let value = |_| text::value(true).new_tree(&mut runner).unwrap().current().replace('\r', "\n");
    (0..CASES).map(value).collect()
}

#[tokio::test]
async fn progress_and_log_messages_pass_byte_for_byte_but_for_the_token() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let scene = scene(speaks).await;
        for text in values() {
            for client in &scene.clients {
                let members = format!(r#""name":"raw__t","arguments":{text}"#);
                let meta = r#""progressToken":"tok\u0065n","io.modelcontextprotocol/logLevel":"debug""#;
                let messages = client.exchange(client.request("1", "tools/call", &members, meta)).await;
                let [progress, log, _answer] = messages.as_slice() else { panic!("{messages:?}") };
                let expected = format!(
                    r#"{{"x":{text},"progressToken":"tok\u0065n","progress":1.0,"_meta":{{"y":{text}}}}}"#
                );
                assert_eq!(progress.params.as_deref(), Some(expected.as_str()));
                let expected = format!(r#"{{"level":"error","data":{text},"x":{text}}}"#);
                assert_eq!(log.params.as_deref(), Some(expected.as_str()));
            }
        }
    }
}

#[tokio::test]
async fn prompts_and_resources_pass_byte_for_byte() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let scene = scene(speaks).await;
        for text in values() {
            for client in &scene.clients {
                let members = format!(r#""name":"raw__p","arguments":{text}"#);
                let prompt = client.ask("prompts/get", &members).await.result.unwrap();
                assert_eq!(member(&prompt, "x").as_deref(), Some(text.as_str()));
                let members = format!(r#""uri":"raw://r","more":{text}"#);
                let resource = client.ask("resources/read", &members).await.result.unwrap();
                assert_eq!(member(&resource, "x").as_deref(), Some(text.as_str()));
                assert!(resource.contains(&format!(r#"[{{"uri":"raw://r","x":{text}}}]"#)), "{resource}");
            }
        }
    }
}

#[tokio::test]
async fn a_requests_id_comes_back_as_it_was_spelt() {
    let scene = scene(Speaks::Modern).await;
    for id in
        ["7", "7.0", "-1", "1e3", "18446744073709551616", r#""""#, r#""\u0061""#, r#""a\/b""#, r#""é\n""#]
    {
        for client in &scene.clients {
            let members = r#""name":"raw__t","arguments":{}"#;
            for request in [
                client.request(id, "tools/call", members, r#""progressToken":1"#),
                client.request(id, "tools/list", "", ""),
            ] {
                let answer = client.exchange(request).await.pop().unwrap();
                assert_eq!(answer.id.as_deref(), Some(id), "{answer:?}");
            }
        }
    }
}
