//! HTTP+SSE: answers come on one stream, requests go to the address its first event names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::drip::break_answer;
use super::mcp::{Message, changed};
use super::remote::Remote;
use super::wire::Wire;
use crate::fault::{Era, Fault};

/// Answers that wait for their stream.
const QUEUE: usize = 1024;

/// Serves one connection to its end.
pub(super) async fn converse(remote: &Arc<Remote>, stream: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.request().await? {
        if request.method == "GET" {
            return stream_answers(remote, &mut wire).await;
        }
        if remote.fault() == Fault::ServerError {
            wire.respond("503 Service Unavailable", None, "").await?;
            continue;
        }
        let session = request.path.rsplit('=').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let to = remote.streams.lock().get(&session).cloned();
        let status = if to.is_some() { "202 Accepted" } else { "404 Not Found" };
        wire.respond(status, None, "").await?;
        if let Some(to) = to {
            tokio::spawn(answer(Arc::clone(remote), request.body, to));
        }
    }
    Ok(())
}

async fn answer(remote: Arc<Remote>, body: Vec<u8>, to: mpsc::Sender<String>) {
    let message = Message::parse(&body).unwrap_or_default();
    remote.run(&message);
    if let Some(call) = message.call().filter(|call| call.delay_ms > 0) {
        sleep(Duration::from_millis(call.delay_ms)).await;
    }
    if let Some(answer) = message.answer(Era::Legacy, remote.fault() == Fault::EndlessCursor) {
        let _ = to.send(answer).await;
    }
}

async fn stream_answers(remote: &Arc<Remote>, wire: &mut Wire) -> io::Result<()> {
    if matches!(remote.fault(), Fault::ServerError) {
        return wire.respond("503 Service Unavailable", None, "").await;
    }
    let session = remote.draw();
    let (to, mut answers) = mpsc::channel(QUEUE);
    remote.streams.lock().insert(session, to);
    let served = serve(remote, wire, session, &mut answers).await;
    remote.streams.lock().remove(&session);
    served
}

async fn serve(
    remote: &Arc<Remote>,
    wire: &mut Wire,
    session: u64,
    answers: &mut mpsc::Receiver<String>,
) -> io::Result<()> {
    let mut changes = remote.changes.subscribe();
    wire.begin_events().await?;
    wire.event("endpoint", &format!("/messages?session={session}")).await?;
    let mut sink = [0; 64];
    loop {
        let message = tokio::select! {
            answer = answers.recv() => answer.unwrap_or_default(),
            told = changes.recv() => {
                if told.is_err() {
                    return Ok(());
                }
                changed()
            }
            read = wire.stream.read(&mut sink) => match read? {
                0 => return Ok(()),
                _ => continue,
            },
        };
        let event = format!("event: message\ndata: {message}\n\n");
        match remote.fault() {
            Fault::None | Fault::EndlessCursor | Fault::ServerError => wire.write(&event).await?,
            Fault::Garbage => wire.event("message", "{\"jsonrpc\": [1, 2").await?,
            Fault::Blackhole => {}
            Fault::HugeFrame => {
                wire.write("data: ").await?;
                return break_answer(wire, Fault::HugeFrame, "").await;
            }
            fault => return break_answer(wire, fault, &event).await,
        }
    }
}
