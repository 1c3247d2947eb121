//! Calls that wait for a modern client to come back with an answer.
//!
//! A legacy backend asks in the middle of a call and goes on waiting; a modern client is answered
//! `input_required` and comes back with a new request. In between the call stands here.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_lc_rs::rand;
use parking_lot::Mutex;

use crate::protocol::{Id, RawJson};

use super::account::Account;
use super::driver::Calling;
use super::question::unanswered;
use super::request::Principal;

/// How long a client may take to come back.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
/// Most parked calls in all, and of one principal.
pub(super) const MAX_PARKED: usize = 1024;
const MAX_PER_PRINCIPAL: usize = 64;

/// A call that waits, and what was asked.
pub(super) struct Parked {
    pub calling: Box<Calling>,
    pub account: Account,
    pub principal: Principal,
    /// Key towards the client → question of the backend.
    pub asked: HashMap<String, Asked>,
}

/// One question of a legacy backend.
pub(super) struct Asked {
    pub id: Id,
    pub method: String,
    pub params: Option<RawJson>,
}

impl Parked {
    /// Tells the backend that nobody will answer; dropping the call then cancels it.
    fn give_up(mut self) {
        for asked in self.asked.values() {
            self.calling.call.respond(&asked.id, &unanswered(&asked.method));
        }
    }
}

/// The parked calls.
#[derive(Default)]
pub(super) struct Parking {
    calls: Mutex<HashMap<u64, Parked>>,
}

impl Parking {
    /// Parks a call for at most [`PATIENCE`].
    ///
    /// # Errors
    /// The call itself, when too many are parked.
    pub(super) fn park(self: &Arc<Self>, parked: Parked) -> Result<u64, Box<Parked>> {
        let mut calls = self.calls.lock();
        let same = calls.values().filter(|other| other.principal == parked.principal).count();
        let has_room = calls.len() < MAX_PARKED && same < MAX_PER_PRINCIPAL;
        let number = fresh_number().filter(|number| has_room && !calls.contains_key(number));
        let Some(number) = number else { return Err(Box::new(parked)) };
        calls.insert(number, parked);
        drop(calls);
        tokio::spawn(expire(Arc::downgrade(self), number));
        Ok(number)
    }

    /// How many are parked.
    pub(super) fn len(&self) -> usize {
        self.calls.lock().len()
    }

    /// Gives up everything: the backends are about to be stopped.
    pub(super) fn clear(&self) {
        let calls = std::mem::take(&mut *self.calls.lock());
        calls.into_values().for_each(Parked::give_up);
    }

    /// Takes a call back; `None` if it is gone or another principal's.
    pub(super) fn take(&self, number: u64, principal: &Principal) -> Option<Parked> {
        let mut calls = self.calls.lock();
        calls.get(&number).filter(|parked| parked.principal == *principal)?;
        calls.remove(&number)
    }
}

/// A number that nobody else gives out: a client may come back with what the process before gave it, or a replica with
/// the same keys. `None` if the system has no random bits to give.
fn fresh_number() -> Option<u64> {
    let mut number = [0; 8];
    rand::fill(&mut number).ok()?;
    Some(u64::from_le_bytes(number))
}

async fn expire(parking: Weak<Parking>, number: u64) {
    tokio::time::sleep(PATIENCE).await;
    let Some(parking) = parking.upgrade() else { return };
    let parked = parking.calls.lock().remove(&number);
    if let Some(parked) = parked {
        parked.give_up();
    }
}
