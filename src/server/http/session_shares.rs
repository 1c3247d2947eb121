//! Whose are the open sessions, and which of them give way where there are as many as may be?

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::resilience::{FairShare, Holder, Share};

/// Who wants one more session, and how many there may be of everybody.
#[derive(Clone)]
pub(super) struct SessionClaim {
    pub(super) holder: Holder,
    pub(super) limit: usize,
}

/// How many sessions each holder has, and in which order they are looked at when one has to go.
pub(super) struct SessionShares {
    share: FairShare<Holder>,
    /// Of each holder: when a session has its turn → its id.
    turns: HashMap<Holder, BTreeMap<u64, String>>,
    next: u64,
}

impl Default for SessionShares {
    fn default() -> Self {
        Self { share: FairShare::new(0), turns: HashMap::new(), next: 0 }
    }
}

impl SessionShares {
    /// Decides about one more session, and counts it if there is room: it is entered or given back next.
    pub(super) fn admit(&mut self, claim: &SessionClaim) -> Share<Holder> {
        self.share.set_bound(claim.limit);
        self.share.admit(&claim.holder)
    }

    /// Counts one session less: it was not opened.
    pub(super) fn give_back(&mut self, holder: &Holder) {
        self.share.remove(holder, 1);
    }

    /// Enters a session that was counted; returns its turn.
    pub(super) fn enter(&mut self, holder: &Holder, id: &str) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.turns.entry(holder.clone()).or_default().insert(turn, id.to_owned());
        turn
    }

    /// Takes out a session that has ended.
    pub(super) fn leave(&mut self, holder: &Holder, turn: u64) {
        self.share.remove(holder, 1);
        self.drop_turn(holder, turn);
    }

    /// Takes away a turn that was given to a session which was already ending: it leaves with the turn before.
    pub(super) fn drop_turn(&mut self, holder: &Holder, turn: u64) {
        if let Some(turns) = self.turns.get_mut(holder) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.turns.remove(holder);
            }
        }
    }

    /// The next sessions of `holder` that have their turn, at most `count`, and the turns they have from now on.
    pub(super) fn next_turns(&mut self, holder: &Holder, count: usize) -> Vec<(String, u64)> {
        let Some(turns) = self.turns.get_mut(holder) else { return Vec::new() };
        let first: Vec<String> = (0..count).map_while(|_| turns.pop_first()).map(|(_, id)| id).collect();
        let numbered = first.into_iter().zip(self.next..);
        let moved: Vec<(String, u64)> = numbered.collect();
        self.next += moved.len() as u64;
        turns.extend(moved.iter().map(|(id, turn)| (*turn, id.clone())));
        moved
    }

    /// The holders that have at least as many sessions as `holder`.
    pub(super) fn at_least_as_large(&self, holder: &Holder) -> HashSet<Holder> {
        let own = self.share.count(holder);
        self.share
            .descending()
            .take_while(|(count, _)| *count >= own)
            .map(|(_, other)| other.clone())
            .collect()
    }
}
