//! A server that spells the numbers it is given in its own way.

use tokio::sync::mpsc;

use crate::support::gateway::raw_stdio;
use crate::support::message::{error, notification, result};
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, member};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}"#;
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}"#;

const SPELLINGS: [&str; 6] = [r#""{}""#, "{}.0", "{}e0", r#"" {} ""#, r#""{}.0""#, r#""0{}""#];

/// What the server of `speaks` answers with ids spelt as `spelling` says: a call with progress before its answer.
fn spelt(asked: &Asked, speaks: Speaks, spelling: &str) -> Option<Answer> {
    let message = &asked.message;
    let id = spelling.replace("{}", message.id.as_deref()?);
    let text = match (message.method.as_str(), speaks) {
        ("initialize", Speaks::Legacy) => result(&id, INITIALIZED),
        ("server/discover", Speaks::Modern) => result(&id, DISCOVERED),
        ("tools/list", _) => result(&id, &format!(r#"{{"tools":{TOOLS}}}"#)),
        ("tools/call", _) => {
            let token = member(&message.param("_meta")?, "progressToken")?;
            let token = spelling.replace("{}", &token);
            let progress = format!(r#"{{"progressToken":{token},"progress":1}}"#);
            let (events, stream) = mpsc::channel(2);
            events.try_send(notification("notifications/progress", &progress)).unwrap();
            events.try_send(result(&id, r#"{"content":[]}"#)).unwrap();
            return Some(Answer::Events(stream));
        }
        _ => error(&id, r#"{"code":-32601,"message":"no"}"#),
    };
    Some(Answer::Http(200, text))
}

async fn calls_with_progress(yard: &Yard, tool: &str) {
    let members = format!(r#""name":"{tool}","arguments":{{}}"#);
    for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
        let request = client.request("7", "tools/call", &members, r#""progressToken":"t""#);
        let messages = client.exchange(request).await;
        let [progress, answer] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!(progress.param("progressToken").as_deref(), Some("\"t\""));
        assert_eq!(answer.id.as_deref(), Some("7"));
        assert!(answer.result.is_some(), "{answer:?}");
    }
}

#[tokio::test]
async fn ids_and_tokens_in_any_spelling_are_known_over_http() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        for spelling in SPELLINGS {
            let script = move |asked: &Asked| spelt(asked, speaks, spelling);
            let backend = RawBackend::start(speaks, TOOLS, script).await;
            let yard = Yard::of(&backend.entry("raw")).await;
            assert_eq!(yard.backend("raw").snapshot.state, "ready", "{speaks:?}, {spelling}");
            calls_with_progress(&yard, "raw__echo").await;
        }
    }
}

#[tokio::test]
async fn ids_and_tokens_in_any_spelling_are_known_over_a_pipe() {
    for (era, spelling) in [("legacy", r#""{}""#), ("modern", "{}.0")] {
        let entry =
            format!("  raw: {{ command: \"{}\", args: [{era}, '{spelling}'] }}\n", raw_stdio().display());
        let yard = Yard::of(&entry).await;
        assert_eq!(yard.backend("raw").snapshot.state, "ready", "{era}, {spelling}");
        // Each second call is answered first.
        tokio::join!(calls_with_progress(&yard, "raw__swap"), calls_with_progress(&yard, "raw__swap"));
    }
}
