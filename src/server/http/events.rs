//! How does an event stream get its events without a task of its own?
//!
//! What produces the events is a future that the body itself drives: a client that goes away takes it
//! along, and a client that reads slowly slows it down. Only work that must survive the client runs in a
//! task and hands its events in from outside.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::connection::{Activity, Connection};
use super::resumable::Stream;
use crate::budget::sent;
use crate::protocol::{write_comment, write_event};

/// Events written and not yet taken by the connection; its own buffers come on top.
const CAPACITY: usize = 16;
/// Events that are there together go out together, up to so many bytes: each piece costs a chunk of HTTP, and a few of
/// them a system call.
const PIECE: usize = 16 * 1024;

type Producer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An event stream's text, piece by piece.
pub(in crate::server) struct Events {
    /// What comes before anything else.
    ahead: VecDeque<Bytes>,
    producer: Option<Producer>,
    written: mpsc::Receiver<Bytes>,
    is_of_notices: bool,
    served: Option<Served>,
}

/// The connection that a stream is sent on; dropped, nothing happens on it.
struct Served {
    connection: Arc<Connection>,
    /// Ready once the connection has to give way, if the stream may be ended for that.
    evicted: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connection.rest();
    }
}

impl Events {
    /// A stream that ends when the future does, and takes the future along when it ends before.
    pub(super) fn produced<F>(produce: impl FnOnce(EventWriter) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, written) = mpsc::channel(CAPACITY);
        let writer = EventWriter { target: Target::Connection(sender) };
        let producer: Producer = Box::pin(produce(writer));
        Self { ahead: VecDeque::new(), producer: Some(producer), written, is_of_notices: false, served: None }
    }

    /// A stream of what is `ahead`, and then of what somebody else sends.
    pub(super) fn received(ahead: VecDeque<Bytes>) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, written) = mpsc::channel(CAPACITY);
        (sender, Self { ahead, producer: None, written, is_of_notices: false, served: None })
    }

    /// The same, of messages that answer nothing.
    pub(super) fn of_notices(self) -> Self {
        Self { is_of_notices: true, ..self }
    }

    pub(super) fn serve_on(&mut self, connection: Arc<Connection>) {
        connection.begin(if self.is_of_notices { Activity::Listening } else { Activity::Calling });
        let evicted = self.is_of_notices.then(|| Box::pin(connection.evicted().clone().cancelled_owned()));
        self.served = Some(Served { connection, evicted });
    }

    fn is_evicted(&mut self, cx: &mut Context<'_>) -> bool {
        let evicted = self.served.as_mut().and_then(|served| served.evicted.as_mut());
        evicted.is_some_and(|evicted| evicted.as_mut().poll(cx).is_ready())
    }

    /// The next piece: all that is there to be sent, up to [`PIECE`].
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_evicted(cx) {
            return Poll::Ready(None);
        }
        if let Some(text) = self.ahead.pop_front() {
            return Poll::Ready(Some(text));
        }
        self.produce(cx);
        let Some(first) = ready!(self.written.poll_recv(cx)) else { return Poll::Ready(None) };
        if first.len() >= PIECE || self.written.is_empty() {
            return Poll::Ready(Some(first));
        }
        let mut piece = BytesMut::with_capacity(PIECE / 4);
        piece.put(first);
        while let Some(next) = self.at_hand(cx) {
            if piece.len() + next.len() > PIECE {
                self.ahead.push_back(next);
                break;
            }
            piece.put(next);
        }
        Poll::Ready(Some(piece.freeze()))
    }

    /// What needs no waiting.
    fn at_hand(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        if self.written.is_empty() {
            self.produce(cx);
        }
        self.written.try_recv().ok()
    }

    fn produce(&mut self, cx: &mut Context<'_>) {
        if self.producer.as_mut().is_some_and(|producer| producer.as_mut().poll(cx).is_ready()) {
            self.producer = None;
        }
    }
}

/// Writes events. Writing to a client that is gone does nothing.
pub(super) struct EventWriter {
    target: Target,
}

enum Target {
    Connection(mpsc::Sender<Bytes>),
    /// Of a session: its events have ids.
    Stream(Stream),
}

impl EventWriter {
    pub(super) fn resumable(stream: Stream) -> Self {
        Self { target: Target::Stream(stream) }
    }

    /// The stream of a session that this writes to, if it is one.
    pub(super) fn into_stream(self) -> Option<Stream> {
        match self.target {
            Target::Stream(stream) => Some(stream),
            Target::Connection(_) => None,
        }
    }

    /// Returns once no client reads what is written.
    pub(super) async fn unread(&self) {
        match &self.target {
            Target::Stream(stream) => stream.unread().await,
            Target::Connection(sender) => sender.closed().await,
        }
    }

    /// A JSON-RPC message.
    pub(super) async fn message(&self, frame: &[u8]) {
        self.event(None, frame).await;
    }

    /// An event with a name.
    pub(super) async fn event(&self, name: Option<&str>, data: &[u8]) {
        match &self.target {
            Target::Connection(sender) => drop(sender.send(sent(event_text(name, None, data))).await),
            Target::Stream(stream) => stream.event(|id| event_text(name, Some(id), data)).await,
        }
    }

    /// A sign of life.
    pub(super) async fn comment(&self) {
        let mut text = BytesMut::with_capacity(4);
        write_comment(&mut text);
        match &self.target {
            Target::Connection(sender) => drop(sender.send(text.freeze()).await),
            Target::Stream(stream) => stream.passing(text.freeze()).await,
        }
    }
}

fn event_text(name: Option<&str>, id: Option<&str>, data: &[u8]) -> Bytes {
    let mut text = BytesMut::with_capacity(data.len() + 48);
    write_event(&mut text, name, id, data);
    text.freeze()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn all_events_arrive_in_order_however_many_there_are() {
        let mut events = Events::produced(|writer| async move {
            for n in 0..3 * CAPACITY {
                writer.message(n.to_string().as_bytes()).await;
            }
        });
        let expected: String = (0..3 * CAPACITY).map(|n| format!("data: {n}\n\n")).collect();
        assert_eq!(
            poll_fn(|cx| events.poll_next(cx)).await,
            Some(expected.into()),
            "what is there goes together"
        );
        assert_eq!(poll_fn(|cx| events.poll_next(cx)).await, None);
    }

    #[tokio::test]
    async fn what_would_make_a_piece_too_long_comes_next() {
        let sizes = [PIECE / 2, PIECE / 2, 1, 2 * PIECE, 1];
        let (sender, mut events) = Events::received(VecDeque::new());
        for (n, size) in sizes.into_iter().enumerate() {
            sender.send(vec![b'0' + n as u8; size].into()).await.unwrap();
        }
        drop(sender);
        let (mut pieces, mut all) = (Vec::new(), Vec::new());
        while let Some(piece) = poll_fn(|cx| events.poll_next(cx)).await {
            pieces.push(piece.len());
            all.extend_from_slice(&piece);
        }
        assert_eq!(pieces, [PIECE, 1, 2 * PIECE, 1]);
        assert!(all.is_sorted());
    }

    #[test]
    fn a_dropped_stream_takes_its_producer_along() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let events = Events::produced(|_| async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        });
        assert_eq!(Arc::strong_count(&held), 2);
        drop(events);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
