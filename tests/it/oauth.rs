//! Does the gateway get in where a backend wants OAuth, keep what it got to itself, and say so when it does not?

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use switchyard::gateway::Keep;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

use crate::support::authority::{Authority, MARK, SECRET};
use crate::support::process::command;
use crate::support::{Client, RawBackend, Speaks, Yard, eventually, within};

const TOOLS: &str = r#"[{"name":"find","inputSchema":{"type":"object"}}]"#;

/// A protected backend, its authorization server, and a directory with a configuration for both.
struct Protected {
    authority: Authority,
    backend: RawBackend,
    directory: TempDir,
    yaml: String,
}

impl Protected {
    async fn with(auth: &str) -> Self {
        let authority = Authority::start().await;
        let backend = RawBackend::start(Speaks::Modern, TOOLS, authority.guard()).await;
        authority.protect(&backend.url, &authority);
        let yaml = format!("backends:\n{}", backend.entry_with("crm", &format!("prefix: \"\", {auth}")));
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("gateway.yaml"), &yaml).unwrap();
        Self { authority, backend, directory, yaml }
    }

    async fn gateway(&self) -> Yard {
        Yard::start_in(self.directory.path(), &self.yaml, Keep::Nothing).await
    }

    /// A gateway that was let in.
    async fn connected(&self) -> (Yard, Client) {
        let yard = self.gateway().await;
        yard.until("crm", "down").await;
        let output = self.connect().await;
        assert!(output.status.success(), "{}", said(&output));
        yard.until("crm", "ready").await;
        yard.router.refresh();
        let client = Client::modern(&yard.url);
        (yard, client)
    }

    /// Runs the command and opens the page it names, as a browser would.
    async fn connect(&self) -> Output {
        let mut command = command(self.directory.path(), &["connect", "crm", "--no-browser"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if let Some(page) = within("the page", lines.next_line()).await.unwrap() {
            let browser = reqwest::Client::builder().no_proxy().build().unwrap();
            within("the page to be opened", browser.get(page).send()).await.unwrap();
        }
        within("the end of the command", child.wait_with_output()).await.unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn call(client: &Client) -> Value {
    client.call("find", "{}").await.result_value()
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![std::fs::read(&path).unwrap()] })
        .collect()
}

#[tokio::test]
async fn a_person_lets_the_gateway_in_once_and_nobody_can_read_the_tokens() {
    let protected = Protected::with("auth: {}").await;
    let yard = protected.gateway().await;
    yard.until("crm", "down").await;
    let reason = yard.backend("crm").snapshot.last_error.unwrap();
    assert_eq!(reason, "not connected: run `switchyard connect crm`");
    let (yard, client) = {
        yard.stop().await;
        protected.connected().await
    };
    assert!(call(&client).await["isError"].is_null());
    let exchanged = protected.authority.asked_for("authorization_code");
    assert_eq!(exchanged[0]["resource"], protected.backend.url);
    let kept = files(protected.directory.path());
    assert!(kept.len() >= 3, "the grant, its key, the configuration");
    for bytes in kept {
        assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()));
    }
    yard.stop().await;
    let again = protected.gateway().await;
    again.until("crm", "ready").await;
    assert_eq!(protected.authority.asked_for("authorization_code").len(), 1);
}

#[tokio::test]
async fn replicas_of_a_backend_are_let_in_together_with_one_token() {
    let authority = Authority::start().await;
    let (one, other) = (
        RawBackend::start(Speaks::Modern, TOOLS, authority.guard()).await,
        RawBackend::start(Speaks::Modern, TOOLS, authority.guard()).await,
    );
    authority.protect(&one.url, &authority);
    let (urls, auth) = ([&one.url, &other.url], format!("client_id: machine, client_secret: {SECRET}"));
    let auth = format!("grant: client_credentials, {auth}");
    let yard = Yard::of(&format!("  crm: {{ urls: {urls:?}, prefix: \"\", auth: {{ {auth} }} }}\n")).await;
    yard.until("crm", "ready").await;
    let both = || yard.backend("crm").snapshot.replicas.iter().all(|replica| replica.state == "ready");
    eventually("both replicas", async || both().then_some(())).await;
    yard.router.refresh();
    assert_eq!(authority.asked_for("client_credentials").len(), 1);
    let client = Client::modern(&yard.url);
    for _ in 0..20 {
        assert!(call(&client).await["isError"].is_null());
    }
}

#[tokio::test]
async fn a_refusal_of_the_token_becomes_a_failure_that_says_what_to_do() {
    let protected = Protected::with("auth: {}").await;
    let (yard, client) = protected.connected().await;
    protected.authority.revoke();
    let failure = client.call("find", "{}").await.failure();
    assert_eq!(failure["error"], "not_connected");
    assert_eq!(failure["message"], "not connected: run `switchyard connect crm`");
    let output = protected.connect().await;
    assert!(output.status.success(), "{}", said(&output));
    yard.until("crm", "ready").await;
    assert!(call(&client).await["isError"].is_null());
}

#[tokio::test]
async fn a_hundred_calls_that_meet_the_end_of_a_token_make_one_refresh() {
    let protected = Protected::with("auth: {}, concurrency: { in_flight: 100 }").await;
    let (_yard, client) = protected.connected().await;
    protected.authority.expire();
    let client = Arc::new(client);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = Arc::clone(&client);
        calls.spawn(async move { call(&client).await });
    }
    assert!(calls.join_all().await.iter().all(|result| result["isError"].is_null()));
    let refreshes = protected.authority.asked_for("refresh_token");
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0]["resource"], protected.backend.url);
}

#[tokio::test]
async fn an_answer_in_another_issuers_name_is_refused_before_the_code_is_used() {
    let protected = Protected::with("auth: {}").await;
    protected.authority.pose_as("https://evil.example.com");
    let output = protected.connect().await;
    assert!(!output.status.success());
    assert!(said(&output).contains("crm is not connected"), "{}", said(&output));
    assert!(protected.authority.asked_for("authorization_code").is_empty());
}

#[tokio::test]
async fn a_refresh_token_is_not_shown_to_another_authorization_server() {
    let protected = Protected::with("auth: {}").await;
    let (_yard, client) = protected.connected().await;
    let other = Authority::start().await;
    protected.authority.protect(&protected.backend.url, &other);
    protected.authority.expire();
    assert_eq!(client.call("find", "{}").await.failure()["error"], "not_connected");
    assert!(other.asked_for("refresh_token").is_empty());
    assert!(protected.authority.asked_for("refresh_token").is_empty());
}

#[tokio::test]
async fn a_gateway_with_credentials_of_its_own_needs_nobody() {
    let auth = format!("auth: {{ grant: client_credentials, client_id: machine, client_secret: {SECRET} }}");
    let protected = Protected::with(&auth).await;
    let yard = protected.gateway().await;
    yard.until("crm", "ready").await;
    yard.router.refresh();
    let client = Client::modern(&yard.url);
    assert!(call(&client).await["isError"].is_null());
    protected.authority.expire();
    assert!(call(&client).await["isError"].is_null());
    let asked = protected.authority.asked_for("client_credentials");
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|form| form["resource"] == protected.backend.url));
}
