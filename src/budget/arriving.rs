//! Which large bodies are on their way, whose are they, and which one gives way where there is no room?
//!
//! Only what arrived is counted, so a body that was announced and never sent takes no room from others. What a body
//! announces is held against its own sender alone: one that announces more than there is waits for its own bodies.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::resilience::{FairShare, Holder};

use super::{Budget, Held, PROCESS, SMALL, STEP};

/// How often a body that waits for room looks whether another one has to give way by now.
const TICK: Duration = Duration::from_millis(100);

/// The bodies that are counted, in steps.
pub(super) struct Bodies {
    inner: Mutex<Inner>,
    /// A body was announced no longer.
    settled: Notify,
}

struct Inner {
    /// What each holder has of the budget, whether it has arrived as a whole or not.
    held: FairShare<Holder>,
    /// What each holder announced of bodies that are on their way.
    announced: FairShare<Holder>,
    /// The bodies that are on their way, the oldest first.
    arriving: BTreeMap<u64, ArrivingBody>,
    next: u64,
}

struct ArrivingBody {
    holder: Holder,
    steps: usize,
    gives_way: CancellationToken,
}

impl Default for Bodies {
    fn default() -> Self {
        let inner = Inner {
            held: FairShare::new(usize::MAX),
            announced: FairShare::new(usize::MAX),
            arriving: BTreeMap::new(),
            next: 0,
        };
        Self { inner: Mutex::new(inner), settled: Notify::new() }
    }
}

impl Bodies {
    /// Has bodies on their way give way until `steps` are on their way back: those of the holder that has most, its
    /// largest first, as long as it has more than `holder`. Room for an answer is made by any.
    pub(super) fn make_room(&self, steps: usize, holder: Option<&Holder>) {
        let mut inner = self.inner.lock();
        let own = holder.map_or(0, |holder| inner.held.count(holder) + steps);
        let mut missing = steps;
        while missing > 0 {
            let Some(number) = inner.next_to_go(own) else { return };
            let Some(body) = inner.arriving.remove(&number) else { return };
            body.gives_way.cancel();
            missing = missing.saturating_sub(body.steps);
        }
    }

    /// What `holder` has, in steps.
    pub(super) fn held_by(&self, holder: &Holder) -> usize {
        self.inner.lock().held.count(holder)
    }

    pub(super) fn add(&self, holder: &Holder, steps: usize) {
        self.inner.lock().held.add(holder, steps);
    }

    pub(super) fn remove(&self, holder: &Holder, steps: usize) {
        self.inner.lock().held.remove(holder, steps);
    }
}

impl Inner {
    fn next_to_go(&self, own: usize) -> Option<u64> {
        let larger = self.held.descending().take_while(|(count, _)| *count > own);
        larger.map(|(_, holder)| holder).find_map(|holder| {
            let theirs = self.arriving.iter().filter(|(_, body)| body.holder == *holder && body.steps > 0);
            // Of equally large ones the oldest.
            theirs.rev().max_by_key(|(_, body)| body.steps).map(|(number, _)| *number)
        })
    }
}

/// One body on its way. Nothing is counted of a small one.
pub(crate) struct Arriving {
    budget: &'static Budget,
    holder: Holder,
    held: Held,
    /// Once it is known to be large: its number and what it announced, in steps.
    entered: Option<Entered>,
}

struct Entered {
    number: u64,
    announced: usize,
    gives_way: CancellationToken,
}

impl Arriving {
    /// A body of `holder` of which nothing has arrived.
    pub(crate) fn of(holder: Holder) -> Self {
        Self::within(&PROCESS, holder)
    }

    pub(super) fn within(budget: &'static Budget, holder: Holder) -> Self {
        Self { budget, holder, held: Held { budget, steps: 0, owner: None }, entered: None }
    }

    /// Waits until its holder has announced no more than there is, this one included, at most for `patience`. One
    /// body may always come.
    pub(crate) async fn announce(&mut self, bytes: usize, patience: Duration) -> bool {
        if bytes <= SMALL {
            return true;
        }
        let steps = bytes.div_ceil(STEP);
        let waiting = async {
            loop {
                let mut settled = std::pin::pin!(self.budget.bodies.settled.notified());
                settled.as_mut().enable();
                if let Some(entered) = self.enter(steps) {
                    return entered;
                }
                settled.await;
            }
        };
        let entered = timeout(patience, waiting).await.ok();
        let has_room = entered.is_some();
        self.entered = entered;
        has_room
    }

    fn enter(&self, announced: usize) -> Option<Entered> {
        let mut inner = self.budget.bodies.inner.lock();
        let before = inner.announced.count(&self.holder);
        if before > 0 && before + announced > self.budget.bound() {
            return None;
        }
        inner.announced.add(&self.holder, announced);
        let (number, gives_way) = (inner.next, CancellationToken::new());
        inner.next += 1;
        let body = ArrivingBody { holder: self.holder.clone(), steps: 0, gives_way: gives_way.clone() };
        inner.arriving.insert(number, body);
        Some(Entered { number, announced, gives_way })
    }

    /// Counts what has arrived, `bytes` by now; waits for room at most for `patience`. `false` if there is none, or if
    /// this body had to give way.
    pub(crate) async fn grow(&mut self, bytes: usize, patience: Duration) -> bool {
        let missing = self.held.missing(bytes);
        if missing == 0 {
            return true;
        }
        // A body that did not say how long it is, is known to be large only now.
        if self.entered.is_none() {
            self.entered = self.enter(0);
        }
        let is_owned = self.held.owner.is_some();
        if !is_owned {
            self.held.owner = Some(Box::new(self.holder.clone()));
        }
        let has_room = self.held.try_cover(missing) || self.wait(missing, patience).await;
        if has_room && let Some(entered) = &self.entered {
            let mut inner = self.budget.bodies.inner.lock();
            // One that is not there any more gives way.
            if let Some(body) = inner.arriving.get_mut(&entered.number) {
                body.steps = self.held.steps;
            }
        }
        has_room
    }

    async fn wait(&mut self, missing: u32, patience: Duration) -> bool {
        let steps = missing as usize;
        self.budget.bodies.make_room(steps, Some(&self.holder));
        if self.budget.bodies.held_by(&self.holder) + steps <= self.budget.bound() / 16
            && self.held.overdraw_within(steps, self.budget.bound() / 8)
        {
            return true;
        }
        let deadline = Instant::now() + patience;
        let gives_way = self.entered.as_ref().map(|entered| entered.gives_way.clone()).unwrap_or_default();
        let mut acquiring = std::pin::pin!(self.budget.free.acquire_many(missing));
        loop {
            tokio::select! {
                taken = &mut acquiring => return taken.is_ok_and(|taken| self.held.add(taken)),
                () = gives_way.cancelled() => return false,
                () = tokio::time::sleep(TICK.min(patience)) => {}
            }
            if Instant::now() >= deadline {
                return false;
            }
            self.budget.bodies.make_room(steps, Some(&self.holder));
        }
    }

    /// Returns once this body has to give way to others; never for a small one.
    pub(crate) async fn given_way(&self) {
        match &self.entered {
            Some(entered) => entered.gives_way.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Whether it had to give way to others.
    pub(crate) fn has_given_way(&self) -> bool {
        self.entered.as_ref().is_some_and(|entered| entered.gives_way.is_cancelled())
    }

    /// Whether it is large enough to be counted.
    pub(crate) fn is_large(&self) -> bool {
        self.entered.is_some()
    }

    /// It has arrived: what is counted of it, and cannot be taken back any more.
    pub(crate) fn finish(mut self) -> Held {
        std::mem::replace(&mut self.held, Held { budget: self.budget, steps: 0, owner: None })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let Some(entered) = self.entered.take() else { return };
        let mut inner = self.budget.bodies.inner.lock();
        inner.arriving.remove(&entered.number);
        inner.announced.remove(&self.holder, entered.announced);
        drop(inner);
        self.budget.bodies.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
