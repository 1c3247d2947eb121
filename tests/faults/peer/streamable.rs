//! Streamable HTTP in either era: one POST, one answer; one stream for what concerns no request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::time::sleep;

use super::drip::break_answer;
use super::mcp::{Message, changed};
use super::remote::Remote;
use super::wire::{Request, Wire};
use crate::fault::{Era, Fault};

/// Serves one connection to its end.
pub(super) async fn converse(remote: &Arc<Remote>, stream: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.request().await? {
        let changes = remote.changes.subscribe();
        match (request.method.as_str(), remote.era) {
            ("POST", _) => {
                let message = Message::parse(&request.body).unwrap_or_default();
                if let Some(acknowledgement) = message.acknowledgement().filter(|_| remote.era == Era::Modern)
                {
                    return listen(&mut wire, changes, Some(acknowledgement), &message.changed()).await;
                }
                if !post(remote, &mut wire, &request, &message).await? {
                    return Ok(());
                }
            }
            ("GET", Era::Legacy) => return listen(&mut wire, changes, None, &changed()).await,
            ("DELETE", Era::Legacy) => wire.respond("200 OK", None, "").await?,
            _ => wire.respond("405 Method Not Allowed", None, "").await?,
        }
    }
    Ok(())
}

/// Answers one message; `false` if the connection is of no use after.
async fn post(remote: &Remote, wire: &mut Wire, request: &Request, message: &Message) -> io::Result<bool> {
    let is_known = match &request.session {
        Some(session) => remote.knows(session),
        None => remote.era == Era::Modern || message.method == "initialize",
    };
    if is_known {
        remote.run(message);
    }
    if let Some(call) = message.call().filter(|call| call.delay_ms > 0) {
        sleep(Duration::from_millis(call.delay_ms)).await;
    }
    let fault = remote.fault();
    let Some(answer) = message.answer(remote.era, fault == Fault::EndlessCursor) else {
        let status = if is_known { "202 Accepted" } else { "404 Not Found" };
        return wire.respond(status, None, "").await.map(|()| true);
    };
    let opened = (message.method == "initialize").then(|| remote.open_session());
    match fault {
        _ if !is_known => wire.respond("404 Not Found", None, "").await?,
        Fault::None | Fault::EndlessCursor | Fault::LostSession => {
            wire.respond("200 OK", opened.as_deref(), &answer).await?;
        }
        Fault::ServerError => wire.respond("503 Service Unavailable", None, "").await?,
        Fault::Garbage => return garbage(wire, remote.draw(), &answer).await,
        Fault::HugeFrame => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 67108864\r\n\r\n";
            wire.write(head).await?;
            return break_answer(wire, fault, "").await.map(|()| false);
        }
        _ => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
            let whole = format!("{head}content-length: {}\r\n\r\n{answer}", answer.len());
            return break_answer(wire, fault, &whole).await.map(|()| false);
        }
    }
    Ok(true)
}

/// No HTTP, no JSON, or no message, in turn.
async fn garbage(wire: &mut Wire, turn: u64, answer: &str) -> io::Result<bool> {
    match turn % 3 {
        0 => wire.write("\u{1}\u{2} this is no HTTP\r\n\r\n").await.map(|()| false),
        1 => wire.respond("200 OK", None, &answer[..answer.len() / 2]).await.map(|()| true),
        _ => wire.respond("200 OK", None, "[1, 2, {\"result\": null}]").await.map(|()| true),
    }
}

/// Holds a stream open until the gateway closes it.
async fn listen(
    wire: &mut Wire,
    mut changes: broadcast::Receiver<()>,
    first: Option<String>,
    change: &str,
) -> io::Result<()> {
    wire.begin_events().await?;
    if let Some(first) = first {
        wire.event("message", &first).await?;
    }
    let mut sink = [0; 64];
    loop {
        tokio::select! {
            told = changes.recv() => match told {
                Ok(()) => wire.event("message", change).await?,
                Err(_) => return Ok(()),
            },
            read = wire.stream.read(&mut sink) => if read? == 0 {
                return Ok(());
            },
        }
    }
}
