//! One client takes all there is of a bound: is another one served?

use switchyard::server::new_token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::Events;
use crate::support::program::Program;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually, within};

const LISTEN: &str = r#""notifications":{"toolsListChanged":true}"#;
const BOUND: usize = 16 * 1024 * 1024;

/// A configuration for two clients, and their tokens.
fn guarded(limits: &str) -> (String, String, String) {
    let ((ann, ann_hash), (bob, bob_hash)) = (new_token().unwrap(), new_token().unwrap());
    let clients =
        format!("clients:\n  ann: {{ token_sha256: {ann_hash} }}\n  bob: {{ token_sha256: {bob_hash} }}\n");
    (
        format!("server: {{ listen: \"127.0.0.1:0\", limits: {{ {limits} }} }}\n{clients}backends: {{}}\n"),
        ann,
        bob,
    )
}

#[tokio::test]
async fn who_holds_all_connections_gives_one_to_a_newcomer_and_ends_its_stream_cleanly() {
    let (config, ann, bob) = guarded("connections: 4");
    let yard = Yard::start(&config).await;
    let anns = Client::modern(&yard.url).with_token(&ann).unpooled();
    let mut streams = Vec::new();
    for id in ["1", "2", "3", "4"] {
        let stream = anns.request(id, "subscriptions/listen", LISTEN, "");
        let mut stream = Events::of(within("a stream", stream.send()).await.unwrap());
        assert!(stream.next().await.is_some(), "it is acknowledged");
        streams.push(stream);
    }
    let bobs = Client::modern(&yard.url).with_token(&bob);
    for _ in 0..3 {
        assert!(bobs.ask("server/discover", "").await.result.is_some());
    }
    assert!(streams[0].next().await.is_none(), "the oldest has ended");
    let tools = anns.request("5", "tools/list", "", "");
    assert_eq!(within("an answer", tools.send()).await.unwrap().status(), 200, "she is served too");
}

#[tokio::test]
async fn connections_on_which_no_request_ever_comes_keep_nobody_out() {
    let (config, ann, _) = guarded("connections: 4, header_timeout: 1h");
    let yard = Yard::start(&config).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(yard.authority()).await.unwrap();
        stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
        idle.push(stream);
    }
    let client = Client::modern(&yard.url).with_token(&ann);
    assert!(client.ask("server/discover", "").await.result.is_some());
}

#[tokio::test]
async fn who_holds_all_sessions_gives_one_to_a_newcomer() {
    let (config, ann, bob) = guarded("sessions: 3");
    let yard = Yard::start(&config).await;
    let mut anns = Vec::new();
    for _ in 0..3 {
        anns.push(Client::modern(&yard.url).with_token(&ann).open("2025-11-25").await);
    }
    assert!(anns[0].ask("ping", "").await.result.is_some());
    let bobs = Client::modern(&yard.url).with_token(&bob).open("2025-11-25").await;
    assert!(bobs.ask("ping", "").await.result.is_some());
    assert!(anns[0].ask("ping", "").await.result.is_some(), "it was used since");
    let oldest = within("an answer", anns[1].request("9", "ping", "", "").send()).await.unwrap();
    assert_eq!(oldest.status(), 404);
}

/// A body of blanks, which is no message, of which `sent` bytes come.
async fn body_of(program: &Program, token: &str, announced: usize, sent: usize) -> TcpStream {
    let authority = program.url.trim_start_matches("http://").trim_end_matches("/mcp");
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    within("the body to be taken", stream.write_all(&vec![b' '; sent])).await.unwrap();
    stream
}

async fn status(mut stream: TcpStream) -> String {
    let mut answer = [0; 12];
    within("a status", stream.read_exact(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[tokio::test]
async fn bodies_that_one_client_announces_or_sends_in_part_take_no_room_from_another() {
    let (config, ann, bob) = guarded(&format!("body_bytes: {BOUND}, buffered_bytes: {BOUND}"));
    let directory = tempfile::tempdir().unwrap();
    let config = format!("admin: {{ listen: \"127.0.0.1:0\" }}\n{config}");
    std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
    let program = Program::start_in(directory).await;
    let phantom = body_of(&program, &ann, BOUND, 0).await;
    let large = BOUND - 1024 * 1024;
    assert_eq!(status(body_of(&program, &bob, large, large).await).await, "400", "it was read as a whole");
    drop(phantom);
    // Half of a body, of which no more comes, gives way.
    let half = body_of(&program, &ann, BOUND, BOUND - 256 * 1024).await;
    let ended = tokio::spawn(status(half));
    // Most of her body may still be on its way to the gateway at first.
    eventually("the end of her body", async || {
        assert_eq!(status(body_of(&program, &bob, BOUND / 4, BOUND / 4).await).await, "400");
        ended.is_finished().then_some(())
    })
    .await;
    assert_eq!(ended.await.unwrap(), "503");
    assert_eq!(program.metric(r#"switchyard_evictions_total{bound="bodies"}"#).await, Some(1.0));
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let yard = Yard::of("  {}\n").await;
    let client = Client::modern(&format!("{}/", yard.url));
    assert!(client.ask("server/discover", "").await.result.is_some());
    let session = client.open("2025-11-25").await;
    assert!(session.ask("ping", "").await.result.is_some());
    let deleted = within("an answer", session.verb(http::Method::DELETE).send()).await.unwrap();
    assert_eq!(deleted.status(), 204);
    let options = within("an answer", session.verb(http::Method::OPTIONS).send()).await.unwrap();
    assert!(options.status().is_success());
    let stream = session.verb(http::Method::GET).header("accept", "text/event-stream");
    assert_eq!(within("an answer", stream.send()).await.unwrap().status(), 404, "the session has ended");
}

#[tokio::test]
async fn an_answer_of_a_call_that_ran_finds_room_where_unfinished_bodies_have_taken_it() {
    const TOOLS: &str = r#"[{"name":"get","inputSchema":{"type":"object"}}]"#;
    let raw = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let long =
            format!(r#"{{"resultType":"complete","content":[],"long":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
        (asked.message.method == "tools/call").then_some(Answer::Result(long))
    })
    .await;
    let (config, ann, bob) = guarded(&format!("body_bytes: {BOUND}, buffered_bytes: {BOUND}"));
    let directory = tempfile::tempdir().unwrap();
    let config = config.replace("backends: {}\n", &format!("backends:\n{}", raw.entry("raw")));
    let config = format!("admin: {{ listen: \"127.0.0.1:0\" }}\n{config}");
    std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
    let program = Program::start_in(directory).await;
    let bobs = program.modern().with_token(&bob);
    eventually("the tool", async || (!bobs.tools().await.is_empty()).then_some(())).await;
    let half = body_of(&program, &ann, BOUND, BOUND - 256 * 1024).await;
    let ended = tokio::spawn(status(half));
    let mut calls = 0;
    // Most of her body may still be on its way to the gateway at first.
    eventually("the end of her body", async || {
        calls += 1;
        assert!(bobs.call("raw__get", "{}").await.result_of("long").is_some(), "call {calls}");
        ended.is_finished().then_some(())
    })
    .await;
    assert_eq!(ended.await.unwrap(), "503");
    assert_eq!(raw.asked("tools/call").len(), calls);
}

#[tokio::test]
async fn operators_hear_that_a_bound_is_reached() {
    let directory = tempfile::tempdir().unwrap();
    let server = "server: { listen: \"127.0.0.1:0\", limits: { sessions: 1 } }";
    let config = format!("{server}\nadmin: {{ listen: \"127.0.0.1:0\" }}\nbackends: {{}}\n");
    std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
    let program = Program::start_in(directory).await;
    assert_eq!(program.ready().await, (200, "ready\n".to_owned()));
    let _session = Client::legacy(&program.url).await;
    assert_eq!(program.ready().await, (200, "ready, at the bound of sessions\n".to_owned()));
    assert_eq!(
        program.status().await["server"]["connections"]["bound"].as_u64().map(|bound| bound > 0),
        Some(true)
    );
}
