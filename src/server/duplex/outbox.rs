//! How do answers queue for the one stream back, and how many?

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::budget::sent;

const MESSAGES: usize = 256;
/// A message larger than this waits for the queue to be empty and then goes alone.
const BYTES: u32 = 1024 * 1024;

/// Where messages to one client are put.
pub(in crate::server) struct Outbox {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

struct Queued {
    frame: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Outbox {
    /// Waits for room and queues a message; does nothing once the stream is gone. The wait ends, because
    /// what takes messages out gives up on a client that takes none.
    pub(in crate::server) async fn send(&self, frame: Bytes) {
        let frame = sent(frame);
        let size = u32::try_from(frame.len()).unwrap_or(BYTES).clamp(1, BYTES);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(size).await else { return };
        let _ = self.queue.send(Queued { frame, _room: room }).await;
    }

    /// Lets the queue run out; nothing more is put in.
    pub(in crate::server) fn close(&self) {
        self.closing.cancel();
    }
}

/// Where messages to one client are taken from.
pub(in crate::server) struct Outgoing {
    queue: mpsc::Receiver<Queued>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Outgoing {
    /// The next message; `None` once the outbox is closed and empty.
    pub(in crate::server) async fn next(&mut self) -> Option<Bytes> {
        let queued = tokio::select! {
            biased;
            queued = self.queue.recv() => queued,
            () = self.closing.cancelled() => {
                self.queue.close();
                self.queue.recv().await
            }
        };
        queued.map(|queued| queued.frame)
    }

    /// A message that is there already.
    pub(in crate::server) fn ready(&mut self) -> Option<Bytes> {
        self.queue.try_recv().ok().map(|queued| queued.frame)
    }
}

impl Drop for Outgoing {
    /// Frees whoever waits for room in a queue that nobody empties any more.
    fn drop(&mut self) {
        self.room.close();
    }
}

/// Both ends of a bounded queue.
pub(in crate::server) fn outbox() -> (Outbox, Outgoing) {
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let room = Arc::new(Semaphore::new(BYTES as usize));
    let closing = CancellationToken::new();
    let outbox = Outbox { queue: sender, room: Arc::clone(&room), closing: closing.clone() };
    (outbox, Outgoing { queue: receiver, room, closing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    fn is_done(work: Pin<&mut impl Future<Output = ()>>) -> bool {
        work.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn the_queue_is_bounded_in_bytes_and_lets_one_large_message_pass_alone() {
        let (outbox, mut outgoing) = outbox();
        let large = Bytes::from(vec![b' '; 3 * BYTES as usize]);
        outbox.send(large).await;
        let mut second = pin!(outbox.send(Bytes::from_static(b"{}")));
        assert!(!is_done(second.as_mut()));
        assert!(outgoing.next().await.is_some());
        assert!(is_done(second.as_mut()));
    }

    #[tokio::test]
    async fn a_closed_outbox_is_emptied_first() {
        let (outbox, mut outgoing) = outbox();
        outbox.send(Bytes::from_static(b"1")).await;
        outbox.close();
        assert_eq!(outgoing.next().await, Some(Bytes::from_static(b"1")));
        assert_eq!(outgoing.next().await, None);
    }

    #[tokio::test]
    async fn senders_are_freed_when_nobody_reads_any_more() {
        let (outbox, outgoing) = outbox();
        outbox.send(Bytes::from(vec![0; BYTES as usize])).await;
        let mut waiting = pin!(outbox.send(Bytes::from_static(b"{}")));
        assert!(!is_done(waiting.as_mut()));
        drop(outgoing);
        assert!(is_done(waiting.as_mut()));
    }
}
