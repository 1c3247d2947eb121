//! Arguments that are expensive to check: who pays for it?

use crate::support::{Client, RawBackend, Speaks, Yard};

/// A tool whose items may have one of many forms.
fn tools() -> String {
    let form = |n| format!(r#"{{"type":"object","properties":{{"a":{{"const":{n}}}}},"required":["a"]}}"#);
    let forms = (0..200).map(form).collect::<Vec<_>>().join(",");
    let schema = format!(
        r#"{{"type":"object","properties":{{"a":{{"type":"array","items":{{"anyOf":[{forms}]}}}}}}}}"#
    );
    format!(r#"[{{"name":"forms","inputSchema":{schema}}}]"#)
}

fn items(count: usize, a: i32) -> String {
    format!(r#"{{"a":[{}]}}"#, vec![format!(r#"{{"a":{a}}}"#); count].join(","))
}

#[tokio::test]
async fn arguments_are_checked_or_refused_and_others_are_answered_meanwhile() {
    let backend = RawBackend::start(Speaks::Modern, &tools(), |_| None).await;
    let echo = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;
    let other = RawBackend::start(Speaks::Modern, echo, |_| None).await;
    let entries = backend.entry_with("raw", "validate_arguments: true") + &other.entry("other");
    let yard = Yard::of(&entries).await;
    let client = Client::modern(&yard.url);
    assert!(client.call("raw__forms", &items(3, 7)).await.result_value()["isError"].is_null());
    let failure = client.call("raw__forms", &items(3, -1)).await.failure();
    assert!(failure["message"].as_str().unwrap().contains("/a/0: fits none"), "{failure}");
    let huge = items(300_000, -1);
    let expensive = async {
        for _ in 0..4 {
            let failure = client.call("raw__forms", &huge).await.failure();
            assert_eq!(failure["error"], "invalid_arguments");
            assert!(failure["message"].as_str().unwrap().contains("too large to be checked"), "{failure}");
        }
    };
    let calls = async {
        let client = Client::modern(&yard.url);
        for _ in 0..20 {
            assert!(client.call("other__echo", "{}").await.result_value()["isError"].is_null());
        }
    };
    tokio::join!(expensive, calls);
    assert_eq!(backend.asked("tools/call").len(), 1, "what does not fit is not sent");
}
