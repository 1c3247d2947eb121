//! A backend without a transport: whoever holds the other end of its pipe is its supervisor and its server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::protocol::{RawJson, Revision};

use super::call_ref::CallRef;
use super::connection::{Connection, Wire};
use super::handshake::Agreement;
use super::pipe::{Frame, Pipe};
use super::signals::Signals;
use super::state::Ready;
use super::{Backend, Offer, State};

/// The server's end of one connection.
pub(crate) struct Line {
    pipe: Pipe,
    frames: mpsc::Receiver<Frame>,
}

/// What a server says and does outside its reading loop.
#[derive(Clone)]
pub(crate) struct Mouth(Pipe);

/// A frame on its way to the server.
pub(crate) struct Taken {
    pub(crate) text: Bytes,
    call: Option<CallRef>,
}

impl Line {
    pub(crate) fn mouth(&self) -> Mouth {
        Mouth(self.pipe.clone())
    }

    /// The next frame; none once the connection is lost.
    pub(crate) async fn take(&mut self) -> Option<Taken> {
        let frame = tokio::select! {
            biased;
            _ = self.pipe.signals().lost() => None,
            frame = self.frames.recv() => frame,
        }?;
        Some(Taken { text: frame.text, call: frame.call })
    }
}

impl Taken {
    /// Writes the first byte, unless nobody wants that any more.
    pub(crate) fn write(&self) -> bool {
        self.call.as_ref().is_none_or(CallRef::start)
    }
}

impl Mouth {
    pub(crate) fn say(&self, text: String) {
        self.0.receive(&Bytes::from(text));
    }

    /// Ends the connection.
    pub(crate) fn crash(&self) {
        self.0.lose("the process exited");
    }

    /// Requests that wait for an answer.
    pub(crate) fn open_calls(&self) -> usize {
        self.0.open_calls()
    }
}

impl Backend {
    /// Connects it to nothing but the line that is returned.
    pub(crate) fn connect_line(&self, tools: Vec<RawJson>) -> Line {
        let (pipe, frames) = Pipe::new(Signals::default(), false);
        let capabilities = RawJson::of(&json!({ "tools": {} }));
        let agreement = Agreement { revision: Revision::LATEST, capabilities, instructions: None };
        let connection = Connection::new(Wire::Pipe(pipe.clone()), agreement, self.ids.clone());
        self.publish_offer(Offer { tools, ..Offer::default() });
        self.connected_anew();
        self.restarted();
        self.publish_state(State::Ready(Ready(Arc::new(connection))));
        Line { pipe, frames }
    }

    /// Says that it is down and when it is tried again.
    pub(crate) fn disconnected(&self, wait: Duration) {
        let (reason, retry_at) = ("the process exited".to_owned(), Some(Instant::now() + wait));
        self.publish_state(State::Down { reason, retry_at });
    }

    pub(crate) fn connection_is_lost(&self) -> bool {
        self.state().connection().is_err()
    }

    /// Whether calls hold anything of it: places, or a probe's leave.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.is_busy() && !self.is_probed()
    }
}
