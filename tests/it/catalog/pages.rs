//! Lists in pages, on both hops.

use std::collections::BTreeSet;

use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard};

const PAGES: usize = 7;

fn tool(name: usize) -> String {
    format!(r#"{{"name":"tool{name}","inputSchema":{{"type":"object"}}}}"#)
}

/// Two tools a page; cursors that need escaping, the first of them empty.
fn paged(asked: &Asked) -> Option<Answer> {
    if asked.message.method != "tools/list" {
        return None;
    }
    let cursors: Vec<String> = (0..PAGES).map(|page| format!(r#""{}""#, r#"\"é"#.repeat(page))).collect();
    let page = match asked.message.param("cursor") {
        None => 0,
        Some(cursor) => 1 + cursors.iter().position(|known| *known == cursor)?,
    };
    let next = if page + 1 < PAGES { format!(r#","nextCursor":{}"#, cursors[page]) } else { String::new() };
    Some(Answer::Result(format!(r#"{{"tools":[{},{}]{next}}}"#, tool(2 * page), tool(2 * page + 1))))
}

#[tokio::test]
async fn every_page_of_a_backends_list_is_followed() {
    let backend = RawBackend::start(Speaks::Modern, "[]", paged).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let expected: Vec<String> = (0..2 * PAGES).map(|name| format!("raw__tool{name}")).collect();
    // Before a client lists: what this backend listed expires at once, and a list has it fetched again.
    assert_eq!(backend.asked("tools/list").len(), PAGES);
    assert_eq!(Client::modern(&yard.url).tools().await, expected);
}

#[tokio::test]
async fn a_list_whose_cursor_never_ends_is_cut_and_the_backend_is_of_use() {
    let backend = RawBackend::start(Speaks::Legacy, "[]", |asked| {
        let page = format!(r#"{{"tools":[{}],"nextCursor":"again"}}"#, tool(0));
        (asked.message.method == "tools/list").then(|| Answer::Result(page))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url);
    assert_eq!(client.tools().await, ["raw__tool0"]);
    assert_eq!(backend.asked("tools/list").len(), 2);
    assert!(client.call("raw__tool0", "{}").await.result.is_some());
}

#[tokio::test]
async fn a_client_that_follows_the_gateways_pages_sees_everything_once() {
    let backend = RawBackend::start(Speaks::Modern, "[]", paged).await;
    let yard =
        Yard::start(&format!("catalog: {{ page_size: 3 }}\nbackends:\n{}", backend.entry("raw"))).await;
    for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
        let (mut seen, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
        loop {
            let listed = client.ask("tools/list", &cursor).await.result_value();
            for tool in listed["tools"].as_array().unwrap() {
                assert!(seen.insert(tool["name"].as_str().unwrap().to_owned()), "{tool} came twice");
            }
            pages += 1;
            let Some(next) = listed.get("nextCursor") else { break };
            cursor = format!(r#""cursor":{next}"#);
        }
        assert_eq!((seen.len(), pages), (2 * PAGES, 5));
        let refused = client.ask("tools/list", r#""cursor":"not ours""#).await;
        assert_eq!(refused.error_value()["code"], -32602);
    }
}
