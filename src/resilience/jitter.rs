//! How are simultaneous waits spread out, so that they do not all end at once?

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A random share, at least 0 and below 1.
///
/// Good enough to spread waits, and not for secrets: every [`RandomState`] carries fresh keys.
pub fn jitter() -> f64 {
    const MANTISSA: u64 = 1 << 53;
    #[cfg(test)]
    if let Some(share) = FIXED.get() {
        return share;
    }
    let random = RandomState::new().build_hasher().finish();
    (random % MANTISSA) as f64 / MANTISSA as f64
}

#[cfg(test)]
thread_local!(static FIXED: std::cell::Cell<Option<f64>> = const { std::cell::Cell::new(None) });

/// Makes every share on this thread the same, so that what a seed began can be played again.
#[cfg(test)]
pub(crate) fn fix_jitter(share: f64) {
    FIXED.set(Some(share));
}

/// Shortens `nominal` by up to a half: all of it at `jitter` 0, half of it at 1.
///
/// Only ever shorter, so that a configured longest wait is never exceeded. In whole thousandths,
/// so that no input, not even NaN, can overflow or panic.
pub(super) fn jittered(nominal: Duration, jitter: f64) -> Duration {
    const STEPS: u32 = 1000;
    let steps = ((jitter * f64::from(STEPS)) as u32).min(STEPS);
    nominal.saturating_sub(nominal / (2 * STEPS) * steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_takes_off_up_to_a_half() {
        let nominal = Duration::from_secs(8);
        assert_eq!(jittered(nominal, 0.0), nominal);
        assert_eq!(jittered(nominal, 0.5), Duration::from_secs(6));
        assert_eq!(jittered(nominal, 1.0), Duration::from_secs(4));
    }

    #[test]
    fn senseless_jitter_stays_between_half_and_whole() {
        for jitter in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 7.0] {
            for nominal in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
                let wait = jittered(nominal, jitter);
                assert!(nominal / 2 <= wait && wait <= nominal, "{jitter} {wait:?}");
            }
        }
    }

    #[test]
    fn random_shares_differ_and_stay_in_range() {
        let shares: Vec<f64> = (0..1000).map(|_| jitter()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let low = shares.iter().filter(|share| **share < 0.5).count();
        assert!((300..700).contains(&low), "{low} of 1000 below a half");
    }
}
