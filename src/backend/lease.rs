//! A connection for the length of one call, and what becomes of it afterwards.

use std::sync::Arc;

use super::connection::Connection;
use super::kept::Use;
use super::pool::Borrowed;

/// What a call holds while it runs; dropping it gives the connection back.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Arc<Connection>,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// The connection is everybody's.
    Nothing,
    /// It is this call's alone.
    Borrowed(Borrowed),
    /// It is the caller's.
    Kept { _used: Use },
}

impl Lease {
    /// The connection that everybody uses.
    pub(super) fn shared(connection: Arc<Connection>) -> Self {
        Self { connection, hold: Hold::Nothing }
    }

    /// One that this call has for itself.
    pub(super) fn borrowed(borrowed: Borrowed) -> Self {
        Self { connection: borrowed.connection(), hold: Hold::Borrowed(borrowed) }
    }

    /// One that is kept for the caller.
    pub(super) fn kept(connection: Arc<Connection>, used: Use) -> Self {
        Self { connection, hold: Hold::Kept { _used: used } }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Says that the call was answered: nothing that comes later can be about it.
    pub(super) fn finish(&mut self) {
        if let Hold::Borrowed(borrowed) = &mut self.hold {
            borrowed.finish();
        }
    }
}
