//! How long did they take?

use std::time::Duration;

/// Every single one, in microseconds.
#[derive(Default)]
pub(crate) struct Latencies {
    whole: Vec<u32>,
    first_events: Vec<u32>,
}

impl Latencies {
    pub(crate) fn merge(parts: Vec<Self>) -> Self {
        parts.into_iter().reduce(Self::join).unwrap_or_default()
    }

    fn join(mut self, other: Self) -> Self {
        self.whole.extend(other.whole);
        self.first_events.extend(other.first_events);
        self
    }

    /// Takes note of one answer, and of its first event if it came as a stream.
    pub(crate) fn add(&mut self, whole: Duration, first_event: Option<Duration>) {
        self.whole.push(micros(whole));
        self.first_events.extend(first_event.map(micros));
    }

    pub(crate) fn len(&self) -> usize {
        self.whole.len()
    }

    pub(crate) fn at(&mut self, share: f64) -> Option<u32> {
        quantile(&mut self.whole, share)
    }

    pub(crate) fn first_events_at(&mut self, share: f64) -> Option<u32> {
        quantile(&mut self.first_events, share)
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn quantile(values: &mut [u32], share: f64) -> Option<u32> {
    let last = values.len().checked_sub(1)?;
    values.sort_unstable();
    Some(values[(last as f64 * share).round() as usize])
}
