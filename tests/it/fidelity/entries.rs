//! The entries of a list: as the backend spelt them, but for their names.

use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::value::RawValue;

use super::text;
use crate::support::{Client, RawBackend, Speaks, Yard, member};

const ENTRIES: usize = 48;

/// Arbitrary members around a name.
fn entry(name: &str, (schema, more): &(String, String)) -> String {
    format!(
        r#"{{ "x-more":{more},"name":{name} , "inputSchema":{{"type":"object","x":{schema}}},"annotations":{{"x":{more}}},"_meta":{{"y":{schema}}}}}"#
    )
}

#[tokio::test]
async fn tools_are_listed_byte_for_byte_but_for_their_names_in_both_eras() {
    let mut runner = TestRunner::default();
    let parts =
        vec((text::value(true), text::object(true)), ENTRIES).new_tree(&mut runner).unwrap().current();
    let spelt = |prefix: &str| -> Vec<String> {
        parts.iter().enumerate().map(|(at, parts)| entry(&format!("\"{prefix}tool{at}\""), parts)).collect()
    };
    let tools = format!("[{}]", spelt("").join(","));
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let backend = RawBackend::start(speaks, &tools, |_| None).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
            let listed = client.ask("tools/list", "").await.result.unwrap();
            let listed = member(&listed, "tools").unwrap();
            let listed: Vec<&RawValue> = serde_json::from_str(&listed).unwrap();
            assert_eq!(listed.len(), ENTRIES);
            for (listed, expected) in listed.iter().zip(spelt("raw__")) {
                same_members(listed.get(), &expected);
            }
        }
        yard.stop().await;
    }
}

/// Blanks around an entry's own members may go; the members' values and their order may not.
fn same_members(listed: &str, expected: &str) {
    for key in ["x-more", "name", "inputSchema", "annotations", "_meta"] {
        assert_eq!(member(listed, key), member(expected, key), "{key}");
    }
}
