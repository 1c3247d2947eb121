//! Backends that cannot be reached when the gateway starts.

use std::net::TcpListener;

use crate::support::gateway::{RefusedPort, raw_stdio};
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

#[tokio::test]
async fn the_handshake_and_the_lists_wait_for_no_backend() {
    let healthy = RawBackend::start(Speaks::Modern, TOOLS, |_| None).await;
    let refusing = RefusedPort::new();
    // Takes connections and never answers: its first attempt outlives this test.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let entries = format!(
        "{}{}  silent: {{ url: \"http://{}/mcp\", timeouts: {{ connect: 60s }} }}\n  missing: {{ command: /no/such/program }}\n",
        healthy.entry("healthy"),
        refusing.entry("refusing"),
        silent.local_addr().unwrap(),
    );
    let yard = Yard::start_cold(&format!("backends:\n{entries}")).await;
    let (legacy, modern) = (Client::legacy(&yard.url).await, Client::modern(&yard.url));
    let discovered = modern.ask("server/discover", "").await.result_value();
    assert_eq!(discovered["supportedVersions"][0], "2026-07-28");
    for client in [&legacy, &modern] {
        for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
            assert!(client.ask(method, "").await.result.is_some(), "{method}");
        }
        eventually("the healthy backend's tool", async || {
            (client.tools().await == ["healthy__echo"]).then_some(())
        })
        .await;
        assert!(client.call("healthy__echo", "{}").await.result.is_some());
    }
    assert_eq!(yard.backend("silent").snapshot.state, "connecting", "nothing above waited for it");
    yard.until("refusing", "down").await;
    yard.until("missing", "down").await;
    let reason = yard.backend("missing").snapshot.last_error.unwrap();
    assert!(reason.contains("/no/such/program"), "{reason}");
}

#[tokio::test]
async fn a_backend_that_asks_for_a_pause_while_it_is_connected_to_is_left_alone_for_that_long() {
    for (status, asked, expected) in [(429, "90", 90_000), (503, "90", 90_000), (503, "86400", 600_000)] {
        let header = ("retry-after", asked);
        let busy =
            RawBackend::start(Speaks::Legacy, TOOLS, move |_| Some(Answer::Headed(status, header))).await;
        let yard = Yard::of(&busy.entry("busy")).await;
        let wait = yard.backend("busy").snapshot.retry_after_ms.unwrap();
        assert!((expected - 30_000..=expected).contains(&wait), "{status}, {asked}: {wait}");
    }
}

#[tokio::test]
async fn a_modern_process_that_ended_at_its_first_start_is_not_taken_for_an_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let (been, server) = (directory.path().join("been"), raw_stdio());
    let script = format!("mkdir '{}' && exit 3; exec '{}' modern", been.display(), server.display());
    let restart = "restart: { backoff: 60s, max_backoff: 60s }";
    let yard = Yard::start_cold(&format!(
        "backends:\n  raw: {{ command: sh, args: [-c, \"{script}\"], {restart} }}\n"
    ))
    .await;
    yard.until("raw", "ready").await;
    assert_eq!(yard.backend("raw").snapshot.era, Some("modern"));
}

#[tokio::test]
async fn the_end_that_the_gateway_itself_caused_is_not_the_reason() {
    let silent = "silent: { command: sh, args: [-c, \"while read line; do :; done\"], timeouts: { start: 200ms, connect: 100ms } }";
    let endless = "endless: { command: sh, args: [-c, \"head -c 17000000 /dev/zero; cat >/dev/null\"] }";
    let yard = Yard::start_cold(&format!("backends:\n  {silent}\n  {endless}\n")).await;
    for (name, expected) in
        [("silent", "did not finish the handshake in 200ms"), ("endless", "longer than 16777216 bytes")]
    {
        let reason = eventually("a reason", async || yard.backend(name).snapshot.last_error).await;
        assert!(reason.contains(expected), "{name}: {reason}");
    }
}
