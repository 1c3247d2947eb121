//! How does a kept handle outlive its series?
//!
//! A series that was idle for [`IDLE`] is dropped at the next scrape, and a handle kept from before
//! would go on counting into nothing. So a handle is asked for anew once it is half that old. A
//! series in use is the same one again; a dropped one begins anew.

use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::recorder::IDLE;

const RENEW: Duration = Duration::from_secs(IDLE.as_secs() / 2);

/// A handle registered at its first use and again when it may be stale.
pub(super) struct Fresh<T> {
    slot: RwLock<Option<(Instant, T)>>,
}

impl<T> Fresh<T> {
    pub(super) const fn new() -> Self {
        Self { slot: RwLock::new(None) }
    }

    /// Records into the handle. It must not be left unused: recording is what keeps the series.
    pub(super) fn with(&self, now: Instant, register: impl FnOnce() -> T, record: impl FnOnce(&T)) {
        if let Some((since, handle)) = &*self.slot.read()
            && now.saturating_duration_since(*since) < RENEW
        {
            return record(handle);
        }
        let mut slot = self.slot.write();
        let (_, handle) = slot.insert((now, register()));
        record(handle);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_handle_is_registered_at_first_use_and_again_only_when_its_series_may_be_gone() {
        let fresh = Fresh::new();
        let start = Instant::now();
        let registered = Cell::new(0);
        let used = |after: Duration| {
            let register = || registered.set(registered.get() + 1);
            fresh.with(start + after, register, |()| {});
            registered.get()
        };
        assert_eq!(used(Duration::ZERO), 1);
        assert_eq!(used(RENEW - Duration::from_secs(1)), 1);
        assert_eq!(used(IDLE), 2);
        assert_eq!(used(IDLE + Duration::from_secs(1)), 2);
    }
}
