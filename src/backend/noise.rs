//! What does a connection bring that no call asked for, and when is it too much?
//!
//! Lines that are no messages, and requests that the gateway answers itself. Their number is the backend's choice, so
//! each connection has a rate of them; beyond it the connection ends with that reason, and supervision decides when
//! there is another one.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::resilience::RateLimit;
use crate::telemetry::{LogLimit, excerpt};

use super::now;

/// Pieces of garbage at once and per second: more than a server writes that logs to its standard output by mistake.
const GARBAGE: RateLimit = RateLimit::new(10_000, 1_000);
/// The same in KiB.
const GARBAGE_KIB: RateLimit = RateLimit::new(32 * 1024, 1024);
/// Requests that no client is asked, at once and per second; servers ping every few seconds.
const REQUESTS: RateLimit = RateLimit::new(1_000, 100);

const GARBAGE_LINES: LogLimit = LogLimit::new("what a backend sends that is no MCP message", 1);

const GARBAGE_FLOOD: &str = "the backend floods the connection with what is no MCP message";
const REQUEST_FLOOD: &str = "the backend floods the connection with requests of its own";
/// It asks, and takes no answers.
pub(super) const ANSWERS_NOT_TAKEN: &str = "the backend asks and does not take the answers";

/// Counts what one connection brings unasked.
#[derive(Debug)]
pub(super) struct Noise {
    backend: Arc<str>,
    rates: Mutex<Rates>,
}

#[derive(Debug)]
struct Rates {
    garbage: RateLimit,
    garbage_kib: RateLimit,
    requests: RateLimit,
}

impl Noise {
    pub(super) fn new(backend: &str) -> Self {
        let rates = Rates { garbage: GARBAGE, garbage_kib: GARBAGE_KIB, requests: REQUESTS };
        Self { backend: backend.into(), rates: Mutex::new(rates) }
    }

    /// Takes something that is no message.
    ///
    /// # Errors
    /// Why the connection ends.
    pub(super) fn garbage(&self, text: &[u8]) -> Result<(), &'static str> {
        if !text.iter().all(u8::is_ascii_whitespace) && GARBAGE_LINES.admits(&self.backend) {
            tracing::warn!(
                backend = &*self.backend,
                bytes = text.len(),
                excerpt = excerpt(text),
                "skipped what is no MCP message"
            );
        }
        let kib = u32::try_from(text.len() / 1024).unwrap_or(u32::MAX);
        let mut rates = self.rates.lock();
        match rates.garbage.take(1, now()) && rates.garbage_kib.take(kib, now()) {
            true => Ok(()),
            false => Err(GARBAGE_FLOOD),
        }
    }

    /// Takes a request that the gateway answers itself.
    ///
    /// # Errors
    /// Why the connection ends.
    pub(super) fn request(&self) -> Result<(), &'static str> {
        match self.rates.lock().requests.take(1, now()) {
            true => Ok(()),
            false => Err(REQUEST_FLOOD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_and_some_pings_are_taken_and_a_flood_is_not() {
        let noise = Noise::new("noisy");
        assert!((0..1_000).all(|_| noise.garbage(b"INFO listening").is_ok() && noise.request().is_ok()));
        assert!((0..100_000).any(|_| noise.garbage(b"}{").is_err()));
        assert!((0..10_000).any(|_| noise.request().is_err()));
        let large = vec![b'x'; 1024 * 1024];
        let noise = Noise::new("large");
        assert!((0..100).any(|_| noise.garbage(&large).is_err()));
    }
}
