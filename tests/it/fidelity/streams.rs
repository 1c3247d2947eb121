//! A client on one stream each way: the program over standard input and output.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::text;
use crate::support::gateway::raw_stdio_entry;
use crate::support::process::command;
use crate::support::{Message, eventually, member, within};

const CASES: usize = 64;

fn call(id: usize, text: &str) -> String {
    let params = format!(r#"{{"name":"raw__echo","more":{text},"arguments":{text}}}"#);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{params}}}\n")
}

#[tokio::test]
async fn a_client_on_standard_input_and_output_gets_every_byte_back() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = format!("backends:\n{}", raw_stdio_entry("raw", "modern", ""));
    std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
    let mut command = command(directory.path(), &["serve", "--stdio"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut gateway = command.spawn().unwrap();
    let mut input = gateway.stdin.take().unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let mut ask = async |text: String| {
        input.write_all(text.as_bytes()).await.unwrap();
        let line = within("a line", lines.next_line()).await.unwrap().unwrap();
        Message::parse(line.as_bytes()).unwrap()
    };
    let initialize = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    assert!(ask(format!("{initialize}\n")).await.result.is_some());
    eventually("the backend's tools", async || ask(call(0, "{}")).await.result).await;
    let mut runner = TestRunner::default();
    for id in 1..=CASES {
        let text = text::value(false).new_tree(&mut runner).unwrap().current();
        let answer = ask(call(id, &text)).await;
        assert_eq!(answer.id, Some(id.to_string()));
        let result = answer.result.unwrap();
        assert_eq!(member(&result, "echo"), Some(text.clone()));
        let seen: String = serde_json::from_str(&member(&result, "seen").unwrap()).unwrap();
        assert_eq!((member(&seen, "arguments"), member(&seen, "more")), (Some(text.clone()), Some(text)));
    }
    drop(input);
    assert_eq!(within("the end of the gateway", gateway.wait()).await.unwrap().code(), Some(0));
}
