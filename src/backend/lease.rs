//! A connection for the length of one call, and what becomes of it afterwards.

use std::sync::Arc;

use super::connection::Connection;
use super::kept::Use;
use super::pool::Borrowed;
use super::waiting_calls::WaitingCall;

/// What a call holds while it runs; dropping it gives the connection back.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Arc<Connection>,
    hold: Hold,
    /// Whose call it is, where the connection is not everybody's.
    principal: Option<Arc<str>>,
}

#[derive(Debug)]
enum Hold {
    /// The connection is everybody's.
    Nothing,
    /// It is this call's alone.
    Borrowed(Borrowed),
    /// It is the caller's.
    Kept(Use),
}

impl Lease {
    /// The connection that everybody uses.
    pub(super) fn shared(connection: Arc<Connection>) -> Self {
        Self { connection, hold: Hold::Nothing, principal: None }
    }

    /// One that this call has for itself.
    pub(super) fn borrowed(borrowed: Borrowed, principal: &Arc<str>) -> Self {
        let principal = Some(Arc::clone(principal));
        Self { connection: borrowed.connection(), hold: Hold::Borrowed(borrowed), principal }
    }

    /// One that is kept for the caller.
    pub(super) fn kept(connection: Arc<Connection>, used: Use, principal: &Arc<str>) -> Self {
        Self { connection, hold: Hold::Kept(used), principal: Some(Arc::clone(principal)) }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Says that the call waits for an answer of its client.
    pub(super) fn wait(&mut self) {
        match (&mut self.hold, &self.principal) {
            (Hold::Borrowed(borrowed), Some(principal)) => borrowed.wait(principal),
            (Hold::Kept(used), Some(principal)) => used.wait(principal),
            _ => {}
        }
    }

    /// Its place among the calls that wait, if it has waited.
    pub(super) fn waiting(&self) -> Option<&WaitingCall> {
        match &self.hold {
            Hold::Nothing => None,
            Hold::Borrowed(borrowed) => borrowed.waiting(),
            Hold::Kept(used) => used.waiting(),
        }
    }

    /// Says that the call was answered: nothing that comes later can be about it.
    pub(super) fn finish(&mut self) {
        if let Hold::Borrowed(borrowed) = &mut self.hold {
            borrowed.finish();
        }
    }
}
