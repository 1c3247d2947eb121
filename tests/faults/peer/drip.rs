//! The ways to break an answer that HTTP and HTTP+SSE share.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::wire::Wire;
use crate::fault::Fault;

/// Between two bytes of a dripping answer.
const DRIP: Duration = Duration::from_millis(20);
/// Larger than any message a gateway should take.
const HUGE: usize = 64 * 1024 * 1024;

/// Answers with `text`, the bytes of a good answer, as `fault` would; the connection is of no use after.
pub(super) async fn break_answer(wire: &mut Wire, fault: Fault, text: &str) -> io::Result<()> {
    match fault {
        Fault::Drip => drip(wire, text).await?,
        Fault::HalfClose => wire.stream.shutdown().await?,
        Fault::Reset => return wire.stream.set_zero_linger(),
        Fault::Crash => return wire.write(&text[..text.len() / 2]).await,
        Fault::HugeFrame => endless(wire).await?,
        _ => {}
    }
    wire.closed().await;
    Ok(())
}

async fn drip(wire: &mut Wire, text: &str) -> io::Result<()> {
    for byte in text.as_bytes() {
        wire.stream.write_all(&[*byte]).await?;
        sleep(DRIP).await;
    }
    Ok(())
}

async fn endless(wire: &mut Wire) -> io::Result<()> {
    let chunk = [b'a'; 64 * 1024];
    for _ in 0..HUGE / chunk.len() {
        wire.stream.write_all(&chunk).await?;
    }
    Ok(())
}
