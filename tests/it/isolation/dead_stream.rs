//! A stream that carries all answers, goes silent and does not end.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::{Client, Yard, eventually};

/// The streams that were opened so far, each by what is written to it.
type Streams = Arc<Mutex<Vec<mpsc::Sender<String>>>>;

/// A server of 2024-11-05 that answers no tool call on its first stream. Returns its address.
async fn start(streams: Streams) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&streams)));
        }
    });
    address
}

async fn converse(stream: TcpStream, streams: Streams) -> Option<()> {
    let mut wire = BufReader::new(stream);
    loop {
        let (request, body) = read(&mut wire).await?;
        let Some(number) = request.strip_prefix("POST /messages/") else {
            return write_events(wire, streams).await;
        };
        let number: usize = number.split(' ').next()?.parse().ok()?;
        wire.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.ok()?;
        if let Some(answer) = answer(&body, number) {
            let stream = streams.lock()[number].clone();
            stream.send(answer).await.ok()?;
        }
    }
}

/// The first line of a request, and its body.
async fn read(wire: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut first, mut length) = (String::new(), 0);
    wire.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        wire.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    wire.read_exact(&mut body).await.ok()?;
    Some((first, serde_json::from_slice(&body).unwrap_or_default()))
}

async fn write_events(mut wire: BufReader<TcpStream>, streams: Streams) -> Option<()> {
    let (to, mut from) = mpsc::channel(16);
    let number = {
        let mut streams = streams.lock();
        streams.push(to);
        streams.len() - 1
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let endpoint = format!("{head}event: endpoint\ndata: /messages/{number}\n\n");
    wire.write_all(endpoint.as_bytes()).await.ok()?;
    while let Some(text) = from.recv().await {
        wire.write_all(format!("event: message\ndata: {text}\n\n").as_bytes()).await.ok()?;
    }
    Some(())
}

fn answer(asked: &Value, stream: usize) -> Option<String> {
    let id = asked.get("id")?;
    let result = match asked["method"].as_str()? {
        "initialize" => json!({
            "protocolVersion": "2024-11-05",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "dying", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
        "tools/call" if stream == 0 => return None,
        _ => json!({ "content": [] }),
    };
    Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

#[tokio::test]
async fn it_is_given_up_for_another_once_the_probe_of_its_open_circuit_waits_in_vain() {
    let streams = Streams::default();
    let address = start(Arc::clone(&streams)).await;
    let settings = "timeouts: { call: 1s }, breaker: { failures: 2, open: 50ms, max_open: 50ms }";
    let entry = format!("  dying: {{ url: \"http://{address}/sse\", type: sse, {settings} }}\n");
    let yard = Yard::of(&entry).await;
    let client = Client::modern(&yard.url);
    eventually("an answer", async || {
        let result = client.call("dying__echo", "{}").await.result_value();
        (result["isError"] != true).then_some(())
    })
    .await;
    assert_eq!(streams.lock().len(), 2, "one stream was given up, for one other");
}
