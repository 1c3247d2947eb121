//! Was a bar met?

use std::time::Duration;

/// One bar, and what was measured.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) scenario: String,
    pub(crate) bar: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

impl Bar {
    pub(crate) fn new(scenario: &str, text: &str, measured: impl Into<String>, is_met: bool) -> Self {
        Self { scenario: scenario.to_owned(), bar: text.to_owned(), measured: measured.into(), is_met }
    }
}

/// Whether a latency with a fault is near enough to the one without it: at most a fifth more, and at most 2 ms more.
pub(crate) fn is_near(with: Option<Duration>, without: Option<Duration>) -> bool {
    match (with, without) {
        (Some(with), Some(without)) => {
            with <= without.mul_f64(1.2) && with <= without + Duration::from_millis(2)
        }
        _ => false,
    }
}
