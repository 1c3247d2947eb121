//! What a modern server says of its results: to whom is it told, and what holds for a list of several servers?

use serde_json::json;

use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

/// A server of this era whose lists say `hints` (members with a comma behind) of how they may be kept.
async fn lists(speaks: Speaks, hints: &'static str) -> RawBackend {
    RawBackend::start(speaks, TOOLS, move |asked: &Asked| {
        let is_list = asked.message.method == "tools/list";
        is_list.then(|| Answer::Result(format!(r#"{{{hints}"tools":{TOOLS}}}"#)))
    })
    .await
}

const PUBLIC: &str = r#""ttlMs":60000,"cacheScope":"public","#;
const PRIVATE: &str = r#""ttlMs":0,"cacheScope":"private","#;

#[tokio::test]
async fn a_list_is_kept_as_its_most_careful_server_wants_it_kept() {
    let table = [
        (vec![(Speaks::Modern, PUBLIC)], false, "public"),
        (vec![(Speaks::Modern, PUBLIC), (Speaks::Modern, PRIVATE)], true, "private"),
        (vec![(Speaks::Modern, PUBLIC), (Speaks::Modern, "")], true, "private"),
        // What a legacy server says of it means something else.
        (vec![(Speaks::Legacy, PUBLIC)], true, "private"),
    ];
    for (servers, is_over, scope) in table {
        let mut backends = Vec::new();
        for (speaks, hints) in servers {
            backends.push(lists(speaks, hints).await);
        }
        let entries = backends.iter().enumerate().map(|(at, backend)| backend.entry(&format!("b{at}")));
        let yard = Yard::of(&entries.collect::<String>()).await;
        let listed = Client::modern(&yard.url).ask("tools/list", "").await.result_value();
        let ttl = listed["ttlMs"].as_u64().unwrap();
        assert_eq!((ttl == 0, listed["cacheScope"].as_str()), (is_over, Some(scope)), "{listed}");
        assert!(ttl <= 5_000, "{listed}");
        // No server has prompts.
        let prompts = Client::modern(&yard.url).ask("prompts/list", "").await.result_value();
        assert_eq!((&prompts["ttlMs"], &prompts["cacheScope"]), (&json!(5_000), &json!("public")));
    }
}

#[tokio::test]
async fn a_legacy_client_gets_no_member_that_only_the_modern_era_has() {
    const SAID: &str = r#"{"resultType":"complete","content":[],"n":1.0,"ttlMs":5,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"raw","version":"1"}}}"#;
    for (speaks, told) in [(Speaks::Modern, r#"{"content":[],"n":1.0}"#), (Speaks::Legacy, SAID)] {
        let backend = RawBackend::start(speaks, TOOLS, |asked: &Asked| {
            (asked.message.method == "tools/call").then(|| Answer::Result(SAID.to_owned()))
        })
        .await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let answer = Client::legacy(&yard.url).await.call("raw__echo", "{}").await;
        assert_eq!(answer.result.as_deref(), Some(told), "{speaks:?}");
        let answer = Client::modern(&yard.url).call("raw__echo", "{}").await;
        assert_eq!(answer.result.as_deref(), Some(SAID), "{speaks:?}");
    }
}
