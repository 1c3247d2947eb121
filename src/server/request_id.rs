//! What is this request called in logs and errors?

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;

use crate::router::RequestId;

/// An odd factor, so that counting walks through all 64-bit numbers in an order nobody reads meaning into.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws ids that are unique in this process and, very likely, across replicas.
pub(super) struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without entropy the ids start at zero: they are names, not secrets.
        let _ = rand::fill(&mut seed);
        Self { next: AtomicU64::new(u64::from_ne_bytes(seed)) }
    }

    pub(super) fn draw(&self) -> RequestId {
        RequestId::new(self.next.fetch_add(STEP, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_sixteen_digits() {
        let ids = RequestIds::new();
        let (a, b) = (ids.draw(), ids.draw());
        assert_ne!(a, b);
        assert_eq!(a.to_string().len(), "req-".len() + 16);
    }
}
