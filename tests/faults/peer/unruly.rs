//! A legacy server over HTTP that sends, asks or has checked without end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::wire::Wire;

/// Forms of the tool `forms`, of which no item fits one.
const FORMS: usize = 200;

/// In this process. At `/pings` it writes requests on its stream without end and takes the answers without a response,
/// elsewhere its tool `ask` asks its client, and its tool `forms` is expensive to check.
pub(crate) struct Unruly {
    pub(crate) address: SocketAddr,
    /// Answers that it has taken, and not answered.
    pub(crate) taken: Arc<AtomicUsize>,
}

impl Unruly {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let counter = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&counter)));
            }
        });
        Self { address, taken }
    }
}

async fn converse(stream: TcpStream, taken: Arc<AtomicUsize>) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.request().await? {
        if request.method == "GET" {
            return match request.path.as_str() {
                "/pings" => ping(&mut wire).await,
                _ => wire.stream.write_all(&head(405, "", 0)).await,
            };
        }
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if message["method"].is_null() && request.path == "/pings" && request.method == "POST" {
            taken.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        let (name, id) = (message["method"].as_str().unwrap_or_default(), &message["id"]);
        if id.is_null() || name.is_empty() {
            wire.stream.write_all(&head(202, "", 0)).await?;
        } else if message["params"]["name"] == "ask" {
            return ask(&mut wire).await;
        } else {
            let mut answer = json!({ "jsonrpc": "2.0", "id": id });
            match result(name) {
                Some(result) => answer["result"] = result,
                None => answer["error"] = json!({ "code": -32601, "message": "no" }),
            }
            let body = answer.to_string();
            wire.stream.write_all(&head(200, "Content-Type: application/json\r\n", body.len())).await?;
            wire.stream.write_all(body.as_bytes()).await?;
        }
    }
    Ok(())
}

fn head(status: u16, more: &str, length: usize) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{more}Mcp-Session-Id: s\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

async fn begin_events(wire: &mut Wire) -> io::Result<()> {
    wire.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await
}

async fn ping(wire: &mut Wire) -> io::Result<()> {
    begin_events(wire).await?;
    let pings = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\n".repeat(100);
    loop {
        wire.stream.write_all(pings.as_bytes()).await?;
    }
}

async fn ask(wire: &mut Wire) -> io::Result<()> {
    begin_events(wire).await?;
    let params = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
    let question = json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params });
    wire.stream.write_all(format!("data: {question}\n\n").as_bytes()).await?;
    // Until the gateway closes the connection.
    while wire.request().await?.is_some() {}
    Ok(())
}

fn result(name: &str) -> Option<Value> {
    let form = |n| json!({ "type": "object", "properties": { "a": { "const": n } }, "required": ["a"] });
    let forms: Vec<Value> = (0..FORMS).map(form).collect();
    Some(match name {
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "unruly", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [
            { "name": "ask", "inputSchema": { "type": "object" } },
            { "name": "echo", "inputSchema": { "type": "object" } },
            { "name": "forms", "inputSchema": {
                "type": "object",
                "properties": { "a": { "type": "array", "items": { "anyOf": forms } } },
            } },
        ] }),
        "tools/call" => json!({ "content": [] }),
        "ping" => json!({}),
        _ => return None,
    })
}
