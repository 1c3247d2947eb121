//! Calls that wait for a modern client to come back with an answer.
//!
//! A legacy backend asks in the middle of a call and goes on waiting; a modern client is answered
//! `input_required` and comes back with a new request. In between the call stands here.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_lc_rs::rand;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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

const GAVE_WAY: &str = "it gave way to other calls that wait for their clients";

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

/// A call in the parking, and the task that ends it in time.
struct Standing {
    parked: Parked,
    since: Instant,
    expiry: AbortHandle,
}

impl Parked {
    /// Tells the backend that nobody will answer; dropping the call then cancels it.
    fn give_up(mut self, reason: &str) {
        self.account.failed("not_answered", reason);
        for asked in self.asked.values() {
            self.calling.call.respond(&asked.id, &unanswered(&asked.method));
        }
    }
}

/// The parked calls. Where there is no room for one more, the oldest of the principal with the most gives way.
#[derive(Default)]
pub(super) struct Parking {
    calls: Mutex<HashMap<u64, Standing>>,
}

impl Parking {
    /// Parks a call for at most [`PATIENCE`].
    ///
    /// # Errors
    /// The call itself, when it cannot be given a number.
    pub(super) fn park(self: &Arc<Self>, parked: Parked) -> Result<u64, Box<Parked>> {
        let mut calls = self.calls.lock();
        let number = fresh_number().filter(|number| !calls.contains_key(number));
        let Some(number) = number else { return Err(Box::new(parked)) };
        let gives_way = in_the_way(&calls, &parked.principal).and_then(|number| calls.remove(&number));
        let expiry = tokio::spawn(expire(Arc::downgrade(self), number, parked.calling.call.gives_way()));
        let (since, expiry) = (Instant::now(), expiry.abort_handle());
        calls.insert(number, Standing { parked, since, expiry });
        drop(calls);
        if let Some(Standing { parked, expiry, .. }) = gives_way {
            expiry.abort();
            parked.give_up(GAVE_WAY);
        }
        Ok(number)
    }

    /// How many are parked.
    pub(super) fn len(&self) -> usize {
        self.calls.lock().len()
    }

    /// Gives up everything: the backends are about to be stopped.
    pub(super) fn clear(&self) {
        let calls = std::mem::take(&mut *self.calls.lock());
        for Standing { parked, expiry, .. } in calls.into_values() {
            expiry.abort();
            parked.give_up("the gateway is stopping");
        }
    }

    /// Takes a call back; `None` if it is gone or another principal's.
    pub(super) fn take(&self, number: u64, principal: &Principal) -> Option<Parked> {
        let mut calls = self.calls.lock();
        calls.get(&number).filter(|standing| standing.parked.principal == *principal)?;
        let Standing { parked, expiry, .. } = calls.remove(&number)?;
        expiry.abort();
        Some(parked)
    }
}

/// The call that gives way to one more of `principal`, if there is no room for it.
fn in_the_way(calls: &HashMap<u64, Standing>, principal: &Principal) -> Option<u64> {
    let mut held: HashMap<&Principal, usize> = HashMap::new();
    for standing in calls.values() {
        *held.entry(&standing.parked.principal).or_default() += 1;
    }
    let holder = match held.get(principal) {
        Some(own) if *own >= MAX_PER_PRINCIPAL => principal,
        _ if calls.len() >= MAX_PARKED => held.into_iter().max_by_key(|(_, held)| *held)?.0,
        _ => return None,
    };
    let own = calls.iter().filter(|(_, standing)| standing.parked.principal == *holder);
    own.min_by_key(|(_, standing)| standing.since).map(|(number, _)| *number)
}

/// A number that nobody else gives out: a client may come back with what the process before gave it, or a replica with
/// the same keys. `None` if the system has no random bits to give.
fn fresh_number() -> Option<u64> {
    let mut number = [0; 8];
    rand::fill(&mut number).ok()?;
    Some(u64::from_le_bytes(number))
}

/// Ends a parked call when its time is over, or when it has to give way.
async fn expire(parking: Weak<Parking>, number: u64, gives_way: Option<CancellationToken>) {
    let reason = tokio::select! {
        () = tokio::time::sleep(PATIENCE) => "the client did not come back in time",
        () = gives_way.unwrap_or_default().cancelled_owned() => GAVE_WAY,
    };
    let Some(parking) = parking.upgrade() else { return };
    let standing = parking.calls.lock().remove(&number);
    if let Some(standing) = standing {
        standing.parked.give_up(reason);
    }
}
