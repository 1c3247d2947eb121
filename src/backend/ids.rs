//! Ids for requests to one backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out ids that never repeat for this backend, whatever the connection: a late answer on a new
/// connection must not find a stranger's call.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids(Arc<AtomicU64>);

impl Ids {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
