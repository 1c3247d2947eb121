//! What does a gateway lose whose standard error nobody reads, and what does it write there?

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Child;

use crate::support::port::listener;
use crate::support::process::{command, run, signal};
use crate::support::program::with_free_ports;
use crate::support::{Client, RawBackend, Speaks, eventually, within};

const ONE: &str = r#"[{"name":"one","inputSchema":{"type":"object"}}]"#;
const DROPPED: &str = "switchyard_log_lines_dropped_total ";

async fn free_port() -> u16 {
    listener().await.local_addr().unwrap().port()
}

/// A gateway at known addresses.
struct Deaf {
    child: Child,
    url: String,
    operators: String,
    _directory: tempfile::TempDir,
}

impl Deaf {
    /// Every library writes lines, too, so that each call fills more of the pipe.
    async fn start(backends: &str, stderr: Stdio) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clients, operators) = (free_port().await, free_port().await);
        let yaml = format!(
            "server: {{ listen: 127.0.0.1:{clients} }}\nadmin: {{ listen: 127.0.0.1:{operators} }}\nbackends:\n{backends}"
        );
        std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
        let mut command = command(directory.path(), &["serve"]);
        let child = command.env("RUST_LOG", "trace").stdin(Stdio::null()).stderr(stderr).spawn().unwrap();
        let url = format!("http://127.0.0.1:{clients}/mcp");
        Self { child, url, operators: format!("http://127.0.0.1:{operators}"), _directory: directory }
    }

    async fn page(&self, page: &str) -> Option<String> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = http.get(format!("{}/{page}", self.operators)).send().await.ok()?;
        response.text().await.ok()
    }

    async fn alive(&self) {
        eventually("a gateway that serves", async || {
            self.page("livez").await.filter(|page| page == "alive\n").map(drop)
        })
        .await;
    }

    async fn calls(&self, count: usize) {
        let client = Client::modern(&self.url);
        eventually("the tool", async || (!client.tools().await.is_empty()).then_some(())).await;
        for _ in 0..count {
            assert!(client.call("a__one", "{}").await.result.is_some());
        }
    }

    async fn terminated(&mut self) -> Option<i32> {
        signal(self.child.id().unwrap(), Signal::TERM);
        within("the end of the gateway", self.child.wait()).await.unwrap().code()
    }
}

#[tokio::test]
async fn lines_that_nobody_can_take_cost_no_call_and_are_counted() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let mut gone = Deaf::start(&raw.entry("a"), Stdio::piped()).await;
    drop(gone.child.stderr.take());
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = Deaf::start(&raw.entry("a"), full.into()).await;
    for mut gateway in [gone, full] {
        gateway.alive().await;
        gateway.calls(3).await;
        let page = gateway.page("metrics").await.unwrap();
        let dropped = page.lines().find_map(|line| line.strip_prefix(DROPPED)).unwrap();
        assert_ne!(dropped, "0");
        assert_eq!(gateway.terminated().await, Some(0));
    }
}

#[tokio::test]
async fn a_reader_that_stalls_holds_up_neither_calls_nor_operators_nor_the_end() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let mut gateway = Deaf::start(&raw.entry("a"), Stdio::piped()).await;
    // Held, and never read: a pipe takes 64 KiB, and each call writes several KiB.
    let _unread = gateway.child.stderr.take();
    gateway.alive().await;
    gateway.calls(100).await;
    gateway.alive().await;
    assert_eq!(gateway.terminated().await, Some(0));
}

#[tokio::test]
async fn what_is_asked_for_as_json_is_nothing_but_json() {
    let directory = tempfile::tempdir().unwrap();
    let write = |yaml: &str| std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
    write(&with_free_ports("log: { format: json, level: error }\nbackends: { x: { command: /no/such } }\n"));
    let mut child =
        command(directory.path(), &["serve"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first: Value =
        serde_json::from_str(&within("a line", lines.next_line()).await.unwrap().unwrap()).unwrap();
    assert_eq!((&first["message"], &first["level"]), (&"serving".into(), &"INFO".into()));
    assert!(first["endpoint"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{first}");
    assert!(first["backends"][0]["reason"].as_str().unwrap().contains("no such program"), "{first}");
    signal(child.id().unwrap(), Signal::TERM);
    while let Some(line) = within("a line", lines.next_line()).await.unwrap() {
        serde_json::from_str::<Value>(&line).unwrap();
    }
    within("the end", child.wait()).await.unwrap();

    write("log: { format: json }\nserver: { listen: nowhere }\nbackends: {}\n");
    let refused = run(directory.path(), &["serve"]).await;
    let said: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!((&said["level"], &said["problems"][0]["line"]), (&"ERROR".into(), &2.into()));
}

#[tokio::test]
async fn check_and_plan_print_json_when_the_file_is_wrong_too() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gateway.yaml"), "backends:\n  crm:\n    comand: x\n").unwrap();
    for (arguments, code) in [(["check", "--json"], 2), (["plan", "--json"], 1)] {
        let refused = run(directory.path(), &arguments).await;
        assert_eq!(refused.status.code(), Some(code));
        let report: Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!((&report["ok"], &report["problems"][1]["line"]), (&false.into(), &3.into()), "{report}");
    }
    let missing = run(Path::new("/"), &["plan", "--json", "--config", "/no/such.yaml"]).await;
    let report: Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert!(report["error"].as_str().unwrap().contains("/no/such.yaml"), "{report}");
}

#[tokio::test]
async fn over_stdio_the_end_of_the_input_is_the_end_and_a_client_that_left_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gateway.yaml"), "backends: {}\n").unwrap();
    let start = || {
        let mut command = command(directory.path(), &["serve", "--stdio"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ping = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    let mut child = start();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(ping).await.unwrap();
    drop(stdin);
    let output = within("the end", child.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("did not end in time"), "{said}");
    assert_eq!(output.stdout, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");

    let mut child = start();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(ping).await.unwrap();
    let output = within("the end", child.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    drop(stdin);
}
