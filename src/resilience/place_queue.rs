//! Who holds the places of a bulkhead, who waits for one, and who gets the next?
//!
//! Nothing is counted by holder while there is room: a place is a slot that remembers its holder, and the slots are
//! only counted when somebody has to wait.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fair_share::{FairShare, Share};

/// So long after a caller had to wait for places that others held, an eighth of them is left to those who hold less
/// than their share.
const CONTENTION: Duration = Duration::from_secs(10);

/// Places, and a queue of callers that are told with a `G` that they have one.
#[derive(Debug)]
pub(super) struct PlaceQueue<G> {
    limit: usize,
    taken: usize,
    /// The holder of each place that is taken.
    slots: Vec<Option<Arc<str>>>,
    vacant: Vec<usize>,
    waiting: VecDeque<Waiting<G>>,
    /// How often each holder waits.
    waiters: FairShare<Arc<str>>,
    next_number: u64,
    grants: u64,
    contended_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<G> {
    number: u64,
    holder: Arc<str>,
    /// When this holder was last given a place from the queue, in grants.
    served: u64,
    grant: G,
}

/// What becomes of a caller that has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It waits, under this number.
    Queued(u64),
    /// The queue is full of callers that wait no more often.
    Full,
}

impl<G> PlaceQueue<G> {
    pub(super) fn new(limit: usize, queue: usize) -> Self {
        Self {
            limit,
            taken: 0,
            slots: Vec::new(),
            vacant: Vec::new(),
            waiting: VecDeque::new(),
            waiters: FairShare::new(queue),
            next_number: 0,
            grants: 0,
            contended_until: None,
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a place that is free, unless others wait for it or it is left to those who hold less.
    ///
    /// Where it takes none, [`grant`](Self::grant) comes before [`wait`](Self::wait): the end of contention is no event.
    pub(super) fn take(&mut self, holder: &Arc<str>, now: impl FnOnce() -> Instant) -> Option<usize> {
        if self.taken >= self.limit {
            return None;
        }
        if self.contended_until.is_some() && !self.may_take(holder, now()) {
            return None;
        }
        // While there is contention, all that wait beside a free place have their share already. After it, they are
        // first.
        if self.contended_until.is_none() && !self.waiting.is_empty() {
            return None;
        }
        Some(self.occupy(holder))
    }

    fn occupy(&mut self, holder: &Arc<str>) -> usize {
        self.taken += 1;
        let holder = Some(Arc::clone(holder));
        match self.vacant.pop() {
            Some(slot) => {
                self.slots[slot] = holder;
                slot
            }
            None => {
                self.slots.push(holder);
                self.slots.len() - 1
            }
        }
    }

    /// Joins the queue. Where it is full, the newest caller of the holder that waits most often gives way: its grant is
    /// dropped.
    pub(super) fn wait(&mut self, holder: &Arc<str>, grant: G, now: Instant) -> Entry {
        if self.held(holder) < self.taken {
            self.contended_until = Some(now + CONTENTION);
        }
        match self.waiters.admit(holder) {
            Share::Admitted => {}
            Share::Evict(other) => {
                self.evict(&other);
                self.waiters.add(holder, 1);
            }
            Share::Reject => return Entry::Full,
        }
        let number = self.next_number;
        self.next_number += 1;
        let served =
            self.waiting.iter().find(|other| other.holder == *holder).map_or(0, |other| other.served);
        self.waiting.push_back(Waiting { number, holder: Arc::clone(holder), served, grant });
        Entry::Queued(number)
    }

    fn evict(&mut self, holder: &Arc<str>) {
        let newest = self.waiting.iter().rposition(|waiting| waiting.holder == *holder);
        drop(newest.and_then(|newest| self.waiting.remove(newest)));
        self.waiters.remove(holder, 1);
    }

    /// Leaves the queue, if it is still in it.
    pub(super) fn leave(&mut self, number: u64) {
        let at = self.waiting.iter().position(|waiting| waiting.number == number);
        if let Some(left) = at.and_then(|at| self.waiting.remove(at)) {
            self.waiters.remove(&left.holder, 1);
        }
    }

    /// Frees a place, and says who has it now, if anybody waits that may have it.
    pub(super) fn free(&mut self, slot: usize, now: impl FnOnce() -> Instant) -> Option<(usize, G)> {
        self.taken -= 1;
        self.slots[slot] = None;
        self.vacant.push(slot);
        self.grant(now)
    }

    /// Gives a place that is free to the next that waits, if it may have it.
    pub(super) fn grant(&mut self, now: impl FnOnce() -> Instant) -> Option<(usize, G)> {
        if self.waiting.is_empty() || self.taken >= self.limit {
            return None;
        }
        let next = self.next()?;
        let holder = Arc::clone(&self.waiting[next].holder);
        if self.contended_until.is_some() && !self.may_take(&holder, now()) {
            return None;
        }
        let granted = self.waiting.remove(next)?;
        self.waiters.remove(&holder, 1);
        self.grants += 1;
        for other in self.waiting.iter_mut().filter(|other| other.holder == holder) {
            other.served = self.grants;
        }
        Some((self.occupy(&holder), granted.grant))
    }

    /// The first caller of the holder that has the fewest places; of several, of the one that was served least lately.
    fn next(&self) -> Option<usize> {
        let mut held: HashMap<&str, usize> = HashMap::new();
        for holder in self.slots.iter().flatten() {
            *held.entry(holder).or_default() += 1;
        }
        let key = |waiting: &Waiting<G>| {
            (held.get(&*waiting.holder).copied().unwrap_or(0), waiting.served, waiting.number)
        };
        let least = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| key(waiting));
        least.map(|(at, _)| at)
    }

    fn held(&self, holder: &str) -> usize {
        self.slots.iter().flatten().filter(|other| ***other == *holder).count()
    }

    /// While there is contention, whether `holder` has less than its share, or takes none of those that are left to
    /// such holders.
    fn may_take(&mut self, holder: &str, now: Instant) -> bool {
        if self.contended_until.is_none_or(|until| now >= until) {
            self.contended_until = None;
            return true;
        }
        let free = self.limit - self.taken;
        free > self.limit / 8 || self.held(holder) < self.limit / 2
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(number: u8) -> Arc<str> {
        number.to_string().into()
    }

    #[test]
    fn after_a_caller_had_to_wait_for_another_some_places_are_left_for_those_who_hold_little() {
        let (mut queue, start) = (PlaceQueue::<()>::new(16, 64), Instant::now());
        let (ann, bob) = (name(0), name(1));
        let slots: Vec<_> = (0..16).map(|_| queue.take(&ann, || start).unwrap()).collect();
        let Entry::Queued(number) = queue.wait(&bob, (), start) else { unreachable!() };
        queue.leave(number);
        for slot in &slots[..2] {
            assert!(queue.free(*slot, || start).is_none());
        }
        assert!(queue.take(&ann, || start).is_none(), "she has more than her share");
        assert!(queue.take(&bob, || start).is_some());
        assert!(queue.take(&ann, || start + CONTENTION).is_some(), "nobody waited for long enough");
    }

    #[test]
    fn places_left_for_those_who_hold_little_are_not_behind_the_queue_of_those_who_hold_much() {
        let (mut queue, start) = (PlaceQueue::new(16, 64), Instant::now());
        let (ann, bob) = (name(0), name(1));
        let slots: Vec<_> = (0..16).map(|_| queue.take(&ann, || start).unwrap()).collect();
        let Entry::Queued(number) = queue.wait(&bob, 1, start) else { unreachable!() };
        queue.leave(number);
        for slot in &slots[..2] {
            assert!(queue.free(*slot, || start).is_none());
        }
        for _ in 0..2 {
            assert!(queue.take(&ann, || start).is_none() && queue.grant(|| start).is_none());
            assert!(matches!(queue.wait(&ann, 0, start), Entry::Queued(_)));
        }
        let bobs = queue.take(&bob, || start).unwrap();
        assert!(queue.free(bobs, || start).is_none());
        let later = start + CONTENTION;
        assert!(queue.take(&bob, || later).is_none(), "those who wait are first");
        assert!(queue.grant(|| later).is_some() && queue.grant(|| later).is_some());
        assert_eq!((queue.taken(), queue.waiting()), (16, 0));
    }

    #[test]
    fn holders_of_equally_many_are_served_in_turn() {
        let (mut queue, now) = (PlaceQueue::new(1, 64), Instant::now());
        let slot = queue.take(&name(9), || now).unwrap();
        for holder in [0, 0, 0, 1, 1] {
            queue.wait(&name(holder), holder, now);
        }
        let mut order = Vec::new();
        let mut slot = Some(slot);
        while let Some((next, grant)) = queue.free(slot.take().unwrap(), || now) {
            order.push(grant);
            slot = Some(next);
        }
        assert_eq!(order, [0, 1, 0, 1, 0]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Enter(u8),
        Free(usize),
        Leave(usize),
        EndContention,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            40 => (0..4u8).prop_map(Step::Enter),
            40 => Just(Step::Enter(0)),
            50 => (0..64usize).prop_map(Step::Free),
            15 => (0..64usize).prop_map(Step::Leave),
            1 => Just(Step::EndContention),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// Two lists: who has a place, and who waits.
    struct Model {
        queue: PlaceQueue<u8>,
        bound: usize,
        now: Instant,
        held: Vec<(usize, u8)>,
        waiting: Vec<(u64, u8)>,
    }

    impl Model {
        fn held(&self, one: u8) -> usize {
            self.held.iter().filter(|(_, other)| *other == one).count()
        }

        fn free(&self) -> usize {
            self.queue.limit - self.held.len()
        }

        /// Whether a free place is not left to others.
        fn may_have(&self, one: u8) -> bool {
            self.free() > self.queue.limit / 8 || self.held(one) < self.queue.limit / 2
        }

        fn granted(&mut self, (slot, one): (usize, u8)) -> Result<(), TestCaseError> {
            let least = self.waiting.iter().map(|(_, one)| self.held(*one)).min();
            prop_assert_eq!(least, Some(self.held(one)));
            let first = self.waiting.iter().position(|(_, other)| *other == one);
            self.waiting.remove(first.unwrap());
            self.held.push((slot, one));
            Ok(())
        }

        /// As the bulkhead does it.
        fn enter(&mut self, one: u8) -> Result<(), TestCaseError> {
            let now = self.now;
            loop {
                if let Some(slot) = self.queue.take(&name(one), || now) {
                    self.held.push((slot, one));
                    return Ok(());
                }
                let Some(grant) = self.queue.grant(|| now) else { break };
                self.granted(grant)?;
            }
            prop_assert!(self.free() == 0 || !self.may_have(one), "it waits beside a place it may have");
            match self.queue.wait(&name(one), one, now) {
                Entry::Queued(number) => self.waiting.push((number, one)),
                Entry::Full => prop_assert_eq!(self.waiting.len(), self.bound),
            }
            Ok(())
        }

        fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
            let now = self.now;
            match step {
                Step::Enter(one) => self.enter(*one)?,
                Step::Free(which) if !self.held.is_empty() => {
                    let (slot, _) = self.held.remove(which % self.held.len());
                    let mut next = self.queue.free(slot, || now);
                    while let Some(grant) = next {
                        self.granted(grant)?;
                        next = self.queue.grant(|| now);
                    }
                    let mut waiting = self.waiting.iter();
                    prop_assert!(self.free() == 0 || waiting.all(|(_, one)| !self.may_have(*one)));
                }
                Step::Leave(which) if !self.waiting.is_empty() => {
                    self.queue.leave(self.waiting.remove(which % self.waiting.len()).0);
                }
                Step::EndContention => self.now += CONTENTION,
                Step::Free(_) | Step::Leave(_) => {}
            }
            // Those that gave way are gone from the queue.
            let queue = &self.queue;
            self.waiting.retain(|(number, _)| queue.waiting.iter().any(|other| other.number == *number));
            Ok(())
        }

        fn check(&self) -> Result<(), TestCaseError> {
            let Self { queue, held, waiting, .. } = self;
            prop_assert_eq!(queue.taken(), held.len());
            prop_assert_eq!(queue.waiting.len(), waiting.len());
            prop_assert_eq!(queue.waiters.total(), waiting.len());
            prop_assert!(held.len() <= queue.limit && waiting.len() <= self.bound);
            let mut slots: Vec<_> = held.iter().map(|(slot, _)| *slot).collect();
            slots.sort_unstable();
            slots.dedup();
            prop_assert_eq!(slots.len(), held.len(), "one slot, one holder");
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn no_place_is_lost_and_each_goes_to_whoever_holds_least(
            limit in prop::sample::select(vec![3, 16]),
            steps in steps(),
        ) {
            let bound = 6;
            let queue = PlaceQueue::new(limit, bound);
            let now = Instant::now();
            let mut model = Model { queue, bound, now, held: Vec::new(), waiting: Vec::new() };
            for step in steps {
                model.step(&step)?;
                model.check()?;
            }
        }
    }
}
