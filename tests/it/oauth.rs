//! Does the gateway get in where a backend wants OAuth, keep what it got to itself, and say so when it does not?

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use switchyard::gateway::Keep;
use switchyard::server::new_token;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

use crate::support::authority::{Authority, MARK, SECRET, access, refresh};
use crate::support::process::command;
use crate::support::{Asked, Client, RawBackend, Speaks, Yard, eventually, within};

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
        Self::speaking(Speaks::Modern, auth, "").await
    }

    async fn speaking(era: Speaks, auth: &str, clients: &str) -> Self {
        let authority = Authority::start().await;
        let backend = RawBackend::start(era, TOOLS, authority.guard()).await;
        authority.protect(&backend.url, &authority);
        let yaml =
            format!("{clients}backends:\n{}", backend.entry_with("crm", &format!("prefix: \"\", {auth}")));
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
        self.let_in(&[]).await;
        yard.until("crm", "ready").await;
        yard.router.refresh();
        let client = Client::modern(&yard.url);
        (yard, client)
    }

    /// Runs the command and opens the page it names, as a browser would.
    async fn connect(&self) -> Output {
        self.connect_with(&[]).await
    }

    /// The same with more arguments, to a good end.
    async fn let_in(&self, arguments: &[&str]) {
        let output = self.connect_with(arguments).await;
        assert!(output.status.success(), "{}", said(&output));
    }

    async fn connect_with(&self, arguments: &[&str]) -> Output {
        let arguments = [&["connect", "crm", "--no-browser"], arguments].concat();
        let mut command = command(self.directory.path(), &arguments);
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

/// The tokens of the last `count` calls that reached the backend, without the scheme.
fn tokens(protected: &Protected, count: usize) -> Vec<String> {
    let calls = protected.backend.asked("tools/call");
    let token =
        |asked: &Asked| asked.headers["authorization"].to_str().unwrap()["Bearer ".len()..].to_owned();
    calls[calls.len() - count..].iter().map(token).collect()
}

/// More often than the circuit would bear.
async fn is_told_what_to_do(client: &Client, name: &str) {
    for _ in 0..4 {
        let failure = client.call("find", "{}").await.failure();
        assert_eq!(failure["error"], "not_connected");
        let message = format!("not connected: run `switchyard connect crm --principal={name}`");
        assert_eq!(failure["message"], message);
    }
}

async fn each_principal_calls_with_its_own_grant(era: Speaks) {
    let drawn: Vec<_> = ["ann", "bob", "cid"].map(|name| (name, new_token().unwrap())).into();
    let clients: String =
        drawn.iter().map(|(name, (_, hash))| format!("  {name}: {{ token_sha256: {hash} }}\n")).collect();
    let auth = "auth: { granted_to: principal }, breaker: { failures: 2 }";
    let protected = Protected::speaking(era, auth, &format!("clients:\n{clients}")).await;
    // The gateway itself draws token 0, ann 1 and bob 2.
    let (yard, _) = protected.connected().await;
    protected.let_in(&["--principal", "ann"]).await;
    protected.let_in(&["--principal", "bob"]).await;
    let client = |at: usize| Client::modern(&yard.url).with_token(&drawn[at].1.0);
    let (ann, bob, cid) = (Arc::new(client(0)), client(1), client(2));
    assert!(call(&ann).await["isError"].is_null() && call(&bob).await["isError"].is_null());
    assert_eq!(tokens(&protected, 2), [access(1), access(2)]);
    is_told_what_to_do(&cid, "cid").await;
    assert_eq!(yard.backend("crm").snapshot.breaker, "closed");
    let connections = yard.backend("crm").snapshot.connections;
    assert_eq!((connections.mode, connections.open), ("per_principal", 2));
    assert!(connections.why.contains("auth.granted_to"), "{}", connections.why);

    protected.authority.expire_only(1);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let ann = Arc::clone(&ann);
        calls.spawn(async move { call(&ann).await });
    }
    assert!(calls.join_all().await.iter().all(|result| result["isError"].is_null()));
    assert!(call(&bob).await["isError"].is_null());
    assert_eq!(tokens(&protected, 2), [access(3), access(2)]);
    let refreshes = protected.authority.asked_for("refresh_token");
    assert_eq!(refreshes.iter().map(|form| &form["refresh_token"]).collect::<Vec<_>>(), [&refresh(1)]);

    protected.let_in(&["--principal", "cid"]).await;
    assert!(call(&cid).await["isError"].is_null());
    assert_eq!(tokens(&protected, 1), [access(4)]);
    // Another grant in the place of the first, which is looked for every half second.
    protected.let_in(&["--principal", "bob"]).await;
    eventually("bob's new grant", async || {
        assert!(call(&bob).await["isError"].is_null());
        (tokens(&protected, 1) == [access(5)]).then_some(())
    })
    .await;

    protected.authority.revoke_only(5);
    is_told_what_to_do(&bob, "bob").await;
    assert_eq!(yard.backend("crm").snapshot.breaker, "closed");
    assert!(call(&ann).await["isError"].is_null());
    let own = format!("Bearer {}", access(0));
    assert!(protected.backend.asked("tools/call").iter().all(|asked| asked.headers["authorization"] != own));
}

#[tokio::test]
async fn each_principal_calls_a_modern_server_with_its_own_grant() {
    each_principal_calls_with_its_own_grant(Speaks::Modern).await;
}

#[tokio::test]
async fn each_principal_calls_a_legacy_server_with_its_own_grant() {
    each_principal_calls_with_its_own_grant(Speaks::Legacy).await;
}

/// A protected backend, a gateway that was let in, and ann and bob, who were, too; their tokens at the gateway. The
/// gateway itself draws token 0, ann 1 and bob 2.
async fn ann_and_bob(era: Speaks) -> (Protected, Yard, [String; 2]) {
    let drawn = ["ann", "bob"].map(|name| (name, new_token().unwrap()));
    let line = |(name, (_, hash)): &(_, (String, String))| format!("  {name}: {{ token_sha256: {hash} }}\n");
    let clients: String = drawn.iter().map(line).collect();
    let auth = "auth: { granted_to: principal }, breaker: { failures: 2 }";
    let protected = Protected::speaking(era, auth, &format!("clients:\n{clients}")).await;
    let (yard, _) = protected.connected().await;
    protected.let_in(&["--principal", "ann"]).await;
    protected.let_in(&["--principal", "bob"]).await;
    (protected, yard, drawn.map(|(_, (token, _))| token))
}

/// More often than the circuit would bear.
async fn is_refused_alone(client: &Client, why: &str) {
    for _ in 0..4 {
        let failure = client.call("find", "{}").await.failure();
        assert_eq!(failure["error"], "backend_unavailable");
        assert!(failure["message"].as_str().unwrap().contains(why), "{failure}");
    }
}

async fn trouble_with_one_grant_is_its_own(era: Speaks) {
    let (protected, yard, [ann, bob]) = ann_and_bob(era).await;
    let client = |token: &str| Client::modern(&yard.url).with_token(token);
    let (ann, bob) = (client(&ann), client(&bob));
    assert!(call(&ann).await["isError"].is_null() && call(&bob).await["isError"].is_null());
    let count = |method: &str| protected.backend.asked(method).len();
    let (calls, connections) = (count("tools/call"), count("initialize"));

    protected.authority.expire_only(1);
    protected.authority.fall_ill();
    is_refused_alone(&ann, "the authorization server").await;
    assert_eq!(yard.backend("crm").snapshot.breaker, "closed");
    assert!(call(&bob).await["isError"].is_null());

    protected.authority.narrow_only(1);
    is_refused_alone(&ann, "refuses the token").await;
    assert_eq!(yard.backend("crm").snapshot.breaker, "closed");
    assert!(call(&bob).await["isError"].is_null());
    // Each was made once, and on the connection there was.
    assert_eq!((count("tools/call"), count("initialize")), (calls + 10, connections));
}

#[tokio::test]
async fn trouble_with_one_grant_at_a_modern_server_opens_nobodys_circuit() {
    trouble_with_one_grant_is_its_own(Speaks::Modern).await;
}

#[tokio::test]
async fn trouble_with_one_grant_at_a_legacy_server_opens_nobodys_circuit() {
    trouble_with_one_grant_is_its_own(Speaks::Legacy).await;
}

#[tokio::test]
async fn a_refused_grant_moves_no_other_client_to_another_era() {
    let (protected, yard, [ann, bob]) = ann_and_bob(Speaks::Both).await;
    let client = |token: &str| Client::modern(&yard.url).with_token(token).open("2025-11-25");
    let (ann, bob) = (client(&ann).await, client(&bob).await);
    assert!(call(&bob).await["isError"].is_null());
    let openings = protected.backend.asked("initialize").len();
    protected.authority.narrow_only(1);
    is_refused_alone(&ann, "refuses the token").await;
    assert_eq!(protected.backend.asked("initialize").len(), openings + 4);
    assert!(call(&bob).await["isError"].is_null());
    let calls = protected.backend.asked("tools/call");
    assert!(calls.iter().all(|asked| asked.headers["mcp-protocol-version"] == "2025-11-25"));
    assert_eq!(calls.len(), 2);
}

#[tokio::test]
async fn a_principal_is_let_in_only_if_it_is_known_and_has_its_own_grant() {
    let protected = Protected::with("auth: {}").await;
    let unknown = protected.connect_with(&["--principal", "ann"]).await;
    assert!(said(&unknown).contains("no client `ann`"), "{}", said(&unknown));
    let for_all = protected.connect_with(&["--principal", "anonymous"]).await;
    assert!(said(&for_all).contains("leave out --principal"), "{}", said(&for_all));
}
