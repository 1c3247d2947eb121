//! Completions: asked of the owner of what is completed, under the name it knows.

use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, member};

const CAPABILITIES: &str = r#""capabilities":{"prompts":{},"resources":{},"completions":{}}"#;
const VALUES: &str = r#"{"completion":{"values":["paris","park"],"total":2,"hasMore":false}}"#;

fn answer(asked: &Asked) -> Option<Answer> {
    let text = match asked.message.method.as_str() {
        "server/discover" => {
            format!(r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],{CAPABILITIES}}}"#)
        }
        "initialize" => format!(
            r#"{{"protocolVersion":"2025-11-25",{CAPABILITIES},"serverInfo":{{"name":"raw","version":"1"}}}}"#
        ),
        "prompts/list" => r#"{"prompts":[{"name":"plan"}]}"#.to_owned(),
        "resources/templates/list" => {
            r#"{"resourceTemplates":[{"name":"city","uriTemplate":"city://{name}"}]}"#.to_owned()
        }
        "completion/complete" => VALUES.to_owned(),
        _ => return None,
    };
    Some(Answer::Result(text))
}

#[tokio::test]
async fn completions_for_prompts_and_templates_reach_their_owner_in_both_eras() {
    let backend = RawBackend::start(Speaks::Legacy, "[]", answer).await;
    let yard = Yard::of(&backend.entry("travel")).await;
    let references = [
        (r#"{"type":"ref/prompt","name":"travel__plan"}"#, "name", r#""plan""#),
        (r#"{"type":"ref/resource","uri":"city://{name}"}"#, "uri", r#""city://{name}""#),
    ];
    for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
        for (reference, key, local) in references {
            let members = format!(r#""ref":{reference},"argument":{{"name":"name","value":"par"}}"#);
            let completed = client.ask("completion/complete", &members).await.result_value();
            assert_eq!(completed["completion"]["values"][1], "park");
            let asked = backend.asked("completion/complete").pop().unwrap().message;
            assert_eq!(member(&asked.param("ref").unwrap(), key).as_deref(), Some(local));
        }
    }
}

#[tokio::test]
async fn a_backend_that_completes_nothing_is_answered_for_with_no_values() {
    let backend = RawBackend::start(Speaks::Modern, "[]", |asked| match asked.message.method.as_str() {
        "completion/complete" => None,
        _ => answer(asked),
    })
    .await;
    let yard = Yard::of(&backend.entry("travel")).await;
    let members = r#""ref":{"type":"ref/prompt","name":"travel__plan"},"argument":{"name":"a","value":""}"#;
    let completed = Client::modern(&yard.url).ask("completion/complete", members).await.result_value();
    assert_eq!(completed["completion"]["values"], serde_json::json!([]));
}
