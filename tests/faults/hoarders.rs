//! One client takes all there is of a bound: are the others served as if it were not there?
//!
//! The one that takes comes from an address of its own: without `clients:` the gateway knows its peers by that.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::Plan;
use crate::fault::Era;
use crate::judge::Bar;
use crate::load::{Client, Tally, Verdict};
use crate::report::Report;
use crate::yard::Yard;

/// Loopback too, and another address than that of the clients that are served.
const HOARDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// For an answer of the gateway, or the end of what it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tasks that may be left beside those from before: connections of the clients that are served.
const SPARE_TASKS: f64 = 100.0;
const CONNECTIONS: usize = 256;
const SESSIONS: usize = 200;
/// Of a body that is announced; all together more than the memory for them.
const BODY: usize = 4 * 1024 * 1024;
const BODIES: usize = 100;

/// Runs all of them.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let yard = Yard::start_narrow(&plan.binary, CONNECTIONS, SESSIONS).await;
    report.section(
        "Who takes all there is",
        "One client takes all of a bound; the others call all the time, and newcomers come.",
    );
    report.columns(&["what", "other calls sent", "answered", "newcomers", "served", "tasks before → after"]);
    let streams = if plan.quick { 1_000 } else { 10_000 };
    let work = async { drop_streams(&yard, streams).await };
    judge(plan, &yard, report, &format!("{streams} streams of one session opened and dropped"), work).await;
    let work = async { announce_bodies(&yard, 0).await };
    judge(plan, &yard, report, &format!("{BODIES} bodies announced and not sent"), work).await;
    let work = async { announce_bodies(&yard, BODY - 256 * 1024).await };
    judge(plan, &yard, report, &format!("{BODIES} bodies sent almost whole"), work).await;
    let work = async { hold_connections(&yard, 2 * CONNECTIONS).await };
    judge(
        plan,
        &yard,
        report,
        &format!("{} idle connections where {CONNECTIONS} may be", 2 * CONNECTIONS),
        work,
    )
    .await;
    let work = async { open_sessions(&yard, 2 * SESSIONS).await };
    judge(plan, &yard, report, &format!("{} sessions where {SESSIONS} may be", 2 * SESSIONS), work).await;
}

/// Does `work` under load, and with what it returns held looks whether newcomers are served.
async fn judge<T>(plan: &Plan, yard: &Yard, report: &mut Report, name: &str, work: impl Future<Output = T>) {
    let before = yard.gateway.metric("switchyard_tasks").await;
    let all: Vec<_> = (0..yard.peers.len()).collect();
    let load = yard.load_of(&all, plan.rate());
    let held = work.await;
    let (mut newcomers, mut served) = (0, 0);
    for peer in &yard.peers {
        for era in [Era::Modern, Era::Legacy] {
            newcomers += 1;
            let client = Client::connect(&yard.gateway.url, era).await;
            let verdict = client.call_large(peer.name, yard.numbers.draw(), 200 * 1024).await;
            served += usize::from(verdict == Verdict::Ok);
            if let Some(session) = client.session() {
                client.end(session).await;
            }
        }
    }
    drop(held);
    let others = Tally::of(&load.finish().await);
    let after = settled(yard, before).await;
    report.row(&[
        name.to_owned(),
        others.sent.to_string(),
        others.ok.to_string(),
        newcomers.to_string(),
        served.to_string(),
        format!("{before} → {after}"),
    ]);
    let answered = format!("{} of {}", others.ok, others.sent);
    report.bar(Bar::new(name, "no call of the others failed", answered, others.ok == others.sent));
    report.bar(Bar::new(
        name,
        "newcomers are served",
        format!("{served} of {newcomers}"),
        served == newcomers,
    ));
    report.bar(Bar::new(
        name,
        "nothing is left of it",
        format!("{before} → {after}"),
        after <= before + SPARE_TASKS,
    ));
}

/// The tasks there are once there are few again, or after too long.
async fn settled(yard: &Yard, before: f64) -> f64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let tasks = yard.gateway.metric("switchyard_tasks").await;
        if tasks <= before + SPARE_TASKS || Instant::now() > until {
            return tasks;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn connect(yard: &Yard) -> TcpStream {
    let authority = yard.gateway.url.trim_start_matches("http://").trim_end_matches("/mcp");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((HOARDER, 0))).unwrap();
    timeout(PATIENCE, socket.connect(authority.parse().unwrap())).await.unwrap().unwrap()
}

async fn drop_streams(yard: &Yard, count: usize) {
    let session = initialize(&mut connect(yard).await).await;
    for _ in 0..count {
        let mut stream = connect(yard).await;
        let head = "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
        let head = format!("{head}Mcp-Session-Id: {session}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with(b"200"), "{}", String::from_utf8_lossy(&answer));
    }
}

async fn announce_bodies(yard: &Yard, sent: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..BODIES {
        let mut stream = connect(yard).await;
        let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        stream.write_all(format!("{head}Content-Length: {BODY}\r\n\r\n").as_bytes()).await.unwrap();
        // One that is not read for want of room takes what the kernel takes.
        let _ = timeout(Duration::from_millis(50), stream.write_all(&vec![b' '; sent])).await;
        open.push(stream);
    }
    open
}

async fn hold_connections(yard: &Yard, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(connect(yard).await);
    }
    open
}

async fn open_sessions(yard: &Yard, count: usize) {
    let mut connection = connect(yard).await;
    for _ in 0..count {
        initialize(&mut connection).await;
    }
}

/// Opens a session on a connection; empty if it was refused.
async fn initialize(connection: &mut TcpStream) -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"hoarder","version":"1"}}}"#;
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = timeout(PATIENCE, connection.read(&mut piece)).await.unwrap().unwrap();
        text.extend_from_slice(&piece[..length]);
        let said = String::from_utf8_lossy(&text).to_ascii_lowercase();
        if length == 0 || is_whole(&said) {
            let session = said.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
            // Ids are not lower case: found again in what was read.
            let Some(at) = session.and_then(|session| said.find(session).map(|at| at..at + session.len()))
            else {
                return String::new();
            };
            return String::from_utf8_lossy(&text[at]).into_owned();
        }
    }
}

fn is_whole(said: &str) -> bool {
    let Some((head, body)) = said.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| body.len() >= length)
}
