//! Backends that cannot be reached when the gateway starts.

use std::net::TcpListener;

use crate::support::gateway::RefusedPort;
use crate::support::{Client, RawBackend, Speaks, Yard, eventually};

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
