//! Requests as bytes, for what no HTTP library would send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Yard, within};

/// A gateway without backends.
pub(super) async fn empty() -> Yard {
    Yard::of("  {}\n").await
}

/// The bytes of a response.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// Sends `text`, whose line ends are `\n` for readability, and reads until the gateway closes.
pub(super) async fn send(yard: &Yard, text: &str) -> Raw {
    send_bytes(yard, text.replace('\n', "\r\n").as_bytes()).await
}

pub(super) async fn send_bytes(yard: &Yard, bytes: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(yard.authority()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is how a refused body may end.
    let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no response but {answer:?}"));
    Raw { status: status.parse().unwrap(), head: head.to_ascii_lowercase(), body: body.to_owned() }
}
