//! What happens next? Nothing but the seed decides.

use std::ops::Range;
use std::time::Duration;

/// SplitMix64: every seed gives a long and even sequence.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice for somebody else, whose throws do not depend on how often these are thrown.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.throw())
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to just under `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.throw() % end
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }

    /// At least 0 and below 1.
    pub(super) fn share(&mut self) -> f64 {
        self.below(1000) as f64 / 1000.0
    }
}
