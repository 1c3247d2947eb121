//! Who gives way when a bound is reached?
//!
//! The holder of the most does. A holder of little is never turned away because another holds much, and a holder that
//! is alone may use everything.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// To whom a part of a bound is attributed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// A client that has authenticated itself.
    Principal(Arc<str>),
    /// A peer of which only the address is known.
    Address(IpAddr),
}

impl Holder {
    /// The peer at `address`. One host has many addresses of IPv6: those of a /64 are counted together.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address => address,
        })
    }
}

/// What becomes of a request for one more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share<H> {
    /// It was counted.
    Admitted,
    /// There is no room: one of this holder's has to go first.
    Evict(H),
    /// There is no room, and nobody holds so much more that it would have to make some.
    Reject,
}

/// How much each holder has of something bounded.
#[derive(Debug)]
pub struct FairShare<H> {
    bound: usize,
    total: usize,
    counts: HashMap<H, usize>,
    ranking: BTreeSet<(usize, H)>,
}

impl<H: Clone + Eq + Hash + Ord> FairShare<H> {
    /// Nothing is held yet of `bound`.
    pub fn new(bound: usize) -> Self {
        Self { bound, total: 0, counts: HashMap::new(), ranking: BTreeSet::new() }
    }

    /// Moves the bound. What is held beyond it stays until it is released.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// Decides about one more for `holder`, and counts it if there is room.
    pub fn admit(&mut self, holder: &H) -> Share<H> {
        if self.total < self.bound {
            self.add(holder, 1);
            return Share::Admitted;
        }
        match self.largest() {
            // With a difference of one, the two would take turns evicting each other.
            Some((most, largest)) if most > self.count(holder) + 1 => Share::Evict(largest.clone()),
            _ => Share::Reject,
        }
    }

    /// Counts `amount` more, whether there is room or not.
    pub fn add(&mut self, holder: &H, amount: usize) {
        self.change(holder, self.count(holder) + amount);
    }

    /// Counts `amount` less; never less than nothing.
    pub fn remove(&mut self, holder: &H, amount: usize) {
        self.change(holder, self.count(holder).saturating_sub(amount));
    }

    fn change(&mut self, holder: &H, count: usize) {
        let before = self.count(holder);
        self.total = self.total - before + count;
        self.ranking.remove(&(before, holder.clone()));
        if count == 0 {
            self.counts.remove(holder);
        } else {
            self.ranking.insert((count, holder.clone()));
            self.counts.insert(holder.clone(), count);
        }
    }

    /// What `holder` has.
    pub fn count(&self, holder: &H) -> usize {
        self.counts.get(holder).copied().unwrap_or(0)
    }

    /// What all have together.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.total >= self.bound
    }

    /// How many holders have something.
    pub fn holders(&self) -> usize {
        self.counts.len()
    }

    /// The holder of the most, and how much that is.
    pub fn largest(&self) -> Option<(usize, &H)> {
        self.descending().next()
    }

    /// All holders, that of the most first.
    pub fn descending(&self) -> impl Iterator<Item = (usize, &H)> {
        self.ranking.iter().rev().map(|(count, holder)| (*count, holder))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lone_holder_may_use_everything_and_gives_way_to_newcomers() {
        let mut share = FairShare::new(4);
        for _ in 0..4 {
            assert_eq!(share.admit(&"ann"), Share::Admitted);
        }
        assert_eq!(share.admit(&"ann"), Share::Reject, "nobody else holds more");
        assert_eq!(share.admit(&"bob"), Share::Evict("ann"));
        share.remove(&"ann", 1);
        assert_eq!(share.admit(&"bob"), Share::Admitted);
        assert_eq!((share.count(&"ann"), share.count(&"bob"), share.total()), (3, 1, 4));
        assert_eq!(share.admit(&"ann"), Share::Reject, "bob's stays his");
    }

    #[test]
    fn equal_holders_do_not_evict_each_other() {
        let mut share = FairShare::new(3);
        for holder in ["ann", "ann", "bob"] {
            assert_eq!(share.admit(&holder), Share::Admitted);
        }
        assert_eq!(share.admit(&"bob"), Share::Reject);
        assert_eq!(share.admit(&"eve"), Share::Evict("ann"));
    }

    #[test]
    fn addresses_of_one_host_are_one_holder() {
        let holder = |text: &str| Holder::at(text.parse().unwrap_or_else(|_| unreachable!("{text}")));
        assert_eq!(holder("2001:db8::1"), holder("2001:db8::ffff:1"));
        assert_ne!(holder("2001:db8::1"), holder("2001:db8:0:1::1"));
        assert_eq!(holder("::ffff:192.0.2.1"), holder("192.0.2.1"));
        assert_ne!(holder("192.0.2.1"), holder("192.0.2.2"));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Admit(u8),
        Release(u8),
        Bound(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..5u8).prop_map(Step::Admit),
            3 => (0..5u8).prop_map(Step::Release),
            1 => (1..12usize).prop_map(Step::Bound),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// The model is a list with one entry for each that is held; it is counted anew each time.
        #[test]
        fn it_decides_as_a_list_that_is_counted_each_time_would(steps in steps()) {
            let (mut share, mut list, mut bound) = (FairShare::new(6), Vec::<u8>::new(), 6);
            for step in steps {
                let held = |list: &[u8], holder: u8| list.iter().filter(|other| **other == holder).count();
                match step {
                    Step::Bound(new) => {
                        bound = new;
                        share.set_bound(new);
                    }
                    Step::Release(holder) => {
                        share.remove(&holder, 1);
                        if let Some(at) = list.iter().position(|other| *other == holder) {
                            list.remove(at);
                        }
                    }
                    Step::Admit(holder) => match share.admit(&holder) {
                        Share::Admitted => {
                            prop_assert!(list.len() < bound);
                            list.push(holder);
                        }
                        Share::Evict(other) => {
                            prop_assert!(list.len() >= bound);
                            let most = (0..5).map(|one| held(&list, one)).max().unwrap_or(0);
                            prop_assert_eq!(held(&list, other), most);
                            prop_assert!(most > held(&list, holder) + 1);
                        }
                        Share::Reject => {
                            prop_assert!(list.len() >= bound);
                            prop_assert!((0..5).all(|one| held(&list, one) <= held(&list, holder) + 1));
                        }
                    },
                }
                prop_assert_eq!(share.total(), list.len());
                for one in 0..5 {
                    prop_assert_eq!(share.count(&one), held(&list, one));
                }
                let ranked: Vec<usize> = share.descending().map(|(count, _)| count).collect();
                prop_assert!(ranked.iter().rev().is_sorted());
                prop_assert_eq!(ranked.len(), share.holders());
            }
        }
    }
}
