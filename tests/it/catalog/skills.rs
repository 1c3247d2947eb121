//! Skills of several servers: one list, and all that is in a skill found where the skill is.

use serde_json::Value;

use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"extensions":{"io.modelcontextprotocol/skills":{"directoryRead":true}}},"ttlMs":0,"cacheScope":"private"}"#;
const EMAIL: &str = "skill://refunds/examples/email.md";

fn skill(path: &str, name: &str) -> String {
    format!(
        r#"{{"uri":"skill://{path}/SKILL.md","frontmatter":{{"name":"{name}","description":"d","n":1.0}},"resources":[{{"uri":"skill://{path}/SKILL.md","digest":"sha256:0","size":1}},{{"uri":"skill://{path}/examples/email.md","digest":"sha256:1","size":2}}]}}"#
    )
}

/// Has the skill `refunds`, as any other such backend has, and one that is its own, on a second page.
async fn backend(name: &'static str) -> RawBackend {
    RawBackend::start(Speaks::Modern, "[]", move |asked| {
        let (uri, cursor) = (asked.message.param("uri"), asked.message.param("cursor"));
        let own = skill(&format!("{name}/own"), "own");
        Some(Answer::Result(match (asked.message.method.as_str(), cursor.as_deref()) {
            ("server/discover", _) => DISCOVERED.to_owned(),
            ("skills/list", None) => {
                format!(r#"{{"skills":[{},{{"uri":"no skill"}}],"nextCursor":"2"}}"#, skill("refunds", "refunds"))
            }
            ("skills/list", _) => format!(r#"{{"skills":[{own}]}}"#),
            ("skills/get", _) => {
                format!(r#"{{"skill":{},"who":"{name}"}}"#, skill("refunds", "refunds"))
            }
            ("resources/read", _) => format!(r#"{{"contents":[{{"uri":{},"text":"{name}"}}]}}"#, uri?),
            ("resources/directory/read", None) => {
                format!(r#"{{"resources":[{{"uri":"{EMAIL}","name":"email.md"}}],"who":"{name}","nextCursor":"own {name}"}}"#)
            }
            ("resources/directory/read", Some(cursor)) => {
                format!(r#"{{"resources":[],"who":"{name}","cursor":{cursor}}}"#)
            }
            _ => return None,
        }))
    })
    .await
}

async fn ask(client: &Client, method: &str, uri: &str) -> Value {
    client.ask(method, &format!(r#""uri":"{uri}""#)).await.result_value()
}

#[tokio::test]
async fn skills_of_all_backends_are_one_list_and_lead_back_with_all_that_is_in_them() {
    let (one, two) = (backend("one").await, backend("two").await);
    let yard = Yard::of(&(one.entry("one") + &two.entry("two"))).await;
    let client = Client::modern(&yard.url);
    let told = client.ask("server/discover", "").await.result_value();
    assert_eq!(told["capabilities"]["extensions"]["io.modelcontextprotocol/skills"]["directoryRead"], true);

    let listed = client.ask("skills/list", "").await;
    assert!(listed.result.as_deref().unwrap().contains(r#""n":1.0"#));
    let listed = listed.result_value();
    let uris: Vec<&str> =
        listed["skills"].as_array().unwrap().iter().map(|skill| skill["uri"].as_str().unwrap()).collect();
    let marked = "two+skill://refunds/SKILL.md";
    assert_eq!(
        uris,
        ["skill://refunds/SKILL.md", "skill://one/own/SKILL.md", marked, "skill://two/own/SKILL.md"]
    );
    assert_eq!(listed["skills"][2]["resources"][1]["uri"], format!("two+{EMAIL}"));
    assert_eq!(listed["skills"][2]["frontmatter"]["name"], "refunds");

    for (name, prefix) in [("one", ""), ("two", "two+")] {
        let email = format!("{prefix}{EMAIL}");
        let read = ask(&client, "resources/read", &email).await;
        assert_eq!(
            (&read["contents"][0]["text"], &read["contents"][0]["uri"]),
            (&name.into(), &email.as_str().into())
        );
        let got = ask(&client, "skills/get", &format!("{prefix}skill://refunds/SKILL.md")).await;
        assert_eq!(
            (&got["who"], &got["skill"]["resources"][1]["uri"]),
            (&name.into(), &email.as_str().into())
        );
        assert_eq!(got["skill"]["uri"], format!("{prefix}skill://refunds/SKILL.md"));
        let directory =
            ask(&client, "resources/directory/read", &format!("{prefix}skill://refunds/examples")).await;
        assert_eq!(
            (&directory["who"], &directory["resources"][0]["uri"]),
            (&name.into(), &email.as_str().into())
        );
    }
    assert_eq!(ask(&client, "resources/read", "skill://two/own/x.md").await["contents"][0]["text"], "two");
    let unknown = client.ask("skills/get", r#""uri":"skill://other/SKILL.md""#).await;
    assert_eq!(unknown.error_value()["code"], -32602);
    assert_eq!(two.asked("skills/get").len(), 1, "nobody else is asked");
}

#[tokio::test]
async fn the_cursor_of_a_directory_leads_on_in_that_directory_and_nowhere_else() {
    let (one, two) = (backend("one").await, backend("two").await);
    let yard = Yard::of(&(one.entry("one") + &two.entry("two"))).await;
    let client = Client::modern(&yard.url);
    let first = ask(&client, "resources/directory/read", "skill://refunds").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_ne!(cursor, "own one", "a cursor is of one hop");
    let next = async |uri: &str, cursor: &str| {
        client.ask("resources/directory/read", &format!(r#""uri":"{uri}","cursor":"{cursor}""#)).await
    };
    assert_eq!(next("skill://refunds", cursor).await.result_value()["cursor"], "own one");
    for (uri, cursor) in [
        ("two+skill://refunds", cursor),
        ("skill://refunds/examples", cursor),
        ("skill://refunds", "own one"),
    ] {
        assert_eq!(next(uri, cursor).await.error_value()["code"], -32602, "{uri} {cursor}");
    }
}

#[tokio::test]
async fn the_extension_is_unknown_where_no_backend_has_it_and_to_legacy_clients() {
    let plain = RawBackend::start(Speaks::Modern, "[]", |_| None).await;
    let without = Yard::of(&plain.entry("plain")).await;
    let skilled = backend("one").await;
    let with = Yard::of(&skilled.entry("one")).await;
    let told = Client::modern(&without.url).ask("server/discover", "").await.result_value();
    assert!(told["capabilities"].get("extensions").is_none());
    for client in [Client::modern(&without.url), Client::legacy(&with.url).await] {
        for method in ["skills/list", "skills/get", "resources/directory/read"] {
            let answer = client.ask(method, r#""uri":"skill://refunds/SKILL.md""#).await;
            assert_eq!(answer.error_value()["code"], -32601, "{method}");
        }
    }
}
