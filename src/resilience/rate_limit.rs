//! Does something arrive faster than it may?

use std::time::Instant;

/// A token bucket: `burst` at once, `per_second` in the long run.
#[derive(Debug)]
pub struct RateLimit {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Option<Instant>,
}

impl RateLimit {
    /// A full bucket.
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst: burst as f64, per_second: per_second as f64, left: burst as f64, at: None }
    }

    /// Takes `amount` from the bucket; `false`, and nothing is taken, if it does not hold that much at `now`.
    pub fn take(&mut self, amount: u32, now: Instant) -> bool {
        let elapsed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.left = elapsed.mul_add(self.per_second, self.left).min(self.burst);
        let amount = f64::from(amount);
        let is_within = amount <= self.left;
        if is_within {
            self.left -= amount;
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_what_the_rate_allows() {
        let (mut limit, start) = (RateLimit::new(3, 2), Instant::now());
        assert_eq!([(); 4].map(|()| limit.take(1, start)), [true, true, true, false]);
        let later = start + Duration::from_secs(1);
        assert_eq!([(); 3].map(|()| limit.take(1, later)), [true, true, false]);
        let much_later = start + Duration::from_secs(100);
        assert!(!limit.take(4, much_later), "more than a burst never passes");
        assert!(limit.take(3, much_later));
    }
}
