//! Which calls of a backend wait for an answer of their client, and which of them gives way?
//!
//! Such a call has a connection to itself and may have it for minutes, because a person has to answer. Where it keeps
//! others from a connection, one gives way: of the principal with the most of them the one that waits longest. A
//! principal's only one gives way too, but not before its person had a moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For a person to answer before a principal's only waiting call can be made to give way.
const MOMENT: Duration = Duration::from_secs(30);

/// The calls that wait, in the order in which they began to.
#[derive(Debug, Default)]
pub(super) struct WaitingCalls {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    calls: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    principal: Arc<str>,
    /// Since when it waits; none while it works, after its client answered.
    since: Option<Instant>,
    gives_way: CancellationToken,
}

impl WaitingCalls {
    /// Enters a call that begins to wait. Beyond `max` of them one gives way, the new one if there is no other.
    pub(super) fn begin(self: &Arc<Self>, principal: &Arc<str>, max: usize) -> WaitingCall {
        let mut inner = self.inner.lock();
        inner.next += 1;
        let (number, gives_way) = (inner.next, CancellationToken::new());
        let entry = Entry {
            number,
            principal: Arc::clone(principal),
            since: Some(Instant::now()),
            gives_way: gives_way.clone(),
        };
        inner.calls.push(entry);
        let staying = inner.calls.iter().filter(|call| !call.gives_way.is_cancelled()).count();
        if staying > max && !inner.one_gives_way(Duration::ZERO) {
            gives_way.cancel();
        }
        WaitingCall { calls: Arc::clone(self), number, gives_way }
    }

    /// Makes one give way, if one can; for a call that finds no connection.
    pub(super) fn one_gives_way(&self) {
        self.inner.lock().one_gives_way(MOMENT);
    }

    /// Calls that wait, or did before they went on.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().calls.len()
    }

    fn entry(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(call) = self.inner.lock().calls.iter_mut().find(|call| call.number == number) {
            change(call);
        }
    }
}

impl Inner {
    fn one_gives_way(&mut self, moment: Duration) -> bool {
        let mut held: HashMap<&Arc<str>, usize> = HashMap::new();
        let can = |call: &&Entry| call.since.is_some() && !call.gives_way.is_cancelled();
        for call in self.calls.iter().filter(can) {
            *held.entry(&call.principal).or_default() += 1;
        }
        let Some(most) = held.values().max().copied() else { return false };
        let of_the_most = |call: &&Entry| held.get(&call.principal) == Some(&most);
        let oldest = self.calls.iter().filter(can).filter(of_the_most).min_by_key(|call| call.since);
        let had_its_moment =
            |call: &&Entry| most > 1 || call.since.is_some_and(|since| since.elapsed() >= moment);
        oldest.filter(had_its_moment).map(|call| call.gives_way.cancel()).is_some()
    }
}

/// A call among those that wait, until it is dropped.
#[derive(Debug)]
pub(super) struct WaitingCall {
    calls: Arc<WaitingCalls>,
    number: u64,
    gives_way: CancellationToken,
}

impl WaitingCall {
    /// Its client answered: it works, and does not give way any more.
    pub(super) fn works(&self) {
        self.calls.entry(self.number, |call| call.since = None);
    }

    /// It waits once more.
    pub(super) fn waits(&self) {
        self.calls.entry(self.number, |call| call.since = Some(Instant::now()));
    }

    /// Cancelled when it has to give way.
    pub(super) fn gives_way(&self) -> &CancellationToken {
        &self.gives_way
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        self.calls.inner.lock().calls.retain(|call| call.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gave_way(calls: &[WaitingCall]) -> Vec<bool> {
        calls.iter().map(|call| call.gives_way.is_cancelled()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_principal_with_the_most_gives_way_with_its_oldest() {
        let calls = Arc::new(WaitingCalls::default());
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let mut begun = vec![calls.begin(&bob, 3), calls.begin(&ann, 3), calls.begin(&ann, 3)];
        assert_eq!(gave_way(&begun), [false; 3]);
        begun.push(calls.begin(&bob, 3));
        begun.push(calls.begin(&bob, 3));
        assert_eq!(gave_way(&begun), [true, true, false, false, false], "each in its turn, the oldest first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_principals_only_one_has_a_moment_and_one_that_works_stays() {
        let calls = Arc::new(WaitingCalls::default());
        let begun = [calls.begin(&Arc::from("ann"), 9), calls.begin(&Arc::from("bob"), 9)];
        calls.one_gives_way();
        assert_eq!(gave_way(&begun), [false, false]);
        begun[0].works();
        tokio::time::advance(MOMENT).await;
        calls.one_gives_way();
        calls.one_gives_way();
        assert_eq!(gave_way(&begun), [false, true]);
        begun[0].waits();
        tokio::time::advance(MOMENT).await;
        calls.one_gives_way();
        assert_eq!(gave_way(&begun), [true, true]);
    }

    #[test]
    fn where_no_other_can_give_way_the_new_one_does() {
        let calls = Arc::new(WaitingCalls::default());
        let works = calls.begin(&Arc::from("ann"), 1);
        works.works();
        let second = calls.begin(&Arc::from("bob"), 1);
        assert!(second.gives_way.is_cancelled() && !works.gives_way.is_cancelled());
        drop((works, second));
        assert_eq!(calls.len(), 0);
    }
}
