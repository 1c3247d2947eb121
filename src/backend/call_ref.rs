//! Was a call written, or given up before?

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Sent;

/// A call, as its transport sees it. Whoever comes first decides whether it may run: the writer, or the one who gives
/// it up and says that it was not sent.
#[derive(Debug, Clone)]
pub(super) struct CallRef {
    pub id: u64,
    stage: Arc<AtomicU8>,
}

const QUEUED: u8 = 0;
const STARTED: u8 = 1;
const GIVEN_UP: u8 = 2;

impl CallRef {
    pub(super) fn new(id: u64) -> Self {
        Self { id, stage: Arc::default() }
    }

    /// Says that the first byte is about to be written: from then on the call may run. `false` if it was given up,
    /// and must not be written any more.
    #[must_use]
    pub(super) fn start(&self) -> bool {
        self.leave_queue(STARTED)
    }

    /// Gives the call up; one whose first byte was not written never will be.
    pub(super) fn give_up(&self) -> Sent {
        let never_written = self.leave_queue(GIVEN_UP) || self.stage.load(Ordering::Acquire) == GIVEN_UP;
        if never_written { Sent::No } else { Sent::Maybe }
    }

    fn leave_queue(&self, stage: u8) -> bool {
        self.stage.compare_exchange(QUEUED, stage, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
