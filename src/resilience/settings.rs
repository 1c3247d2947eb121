//! What an operator can set about refusing and retrying.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units;

/// When a backend's circuit opens, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Failures in a row that open the circuit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failures: u32,
    /// Share of successes (0 to 1) under which the window opens the circuit.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub success_rate: f64,
    /// Calls the window must hold before `success_rate` is judged.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_calls: u32,
    /// Length of the window, kept in 10 buckets.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub window: Duration,
    /// First period for which the circuit stays open; doubles up to `max_open`.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub open: Duration,
    /// Longest period for which the circuit stays open.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub max_open: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            success_rate: 0.5,
            min_calls: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(1),
            max_open: Duration::from_secs(30),
        }
    }
}

/// How many calls one backend may have at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConcurrencySettings {
    /// Calls in flight at this backend.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub in_flight: u32,
    /// How long a call waits for a free place before it is refused with `backend_busy`.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationOrZeroText")]
    pub queue_wait: Duration,
}

impl Default for ConcurrencySettings {
    fn default() -> Self {
        Self { in_flight: 64, queue_wait: Duration::from_millis(250) }
    }
}

/// How fast a lost backend is tried again: jittered, doubling, for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RestartSettings {
    /// First wait.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub backoff: Duration,
    /// Longest wait.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub max_backoff: Duration,
    /// After 5 crashes within a minute, how long its process is not started; doubles up to ten times as long.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub hold: Duration,
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(30),
            hold: Duration::from_secs(60),
        }
    }
}

/// How many calls may be made a second time, so that an ill backend is not made worse. Only what was not sent is
/// made again, and what an operator says may run twice; each once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// Retries for each call, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Retries a second on top of that.
    #[schemars(range(max = 1_000_000))]
    pub per_second: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self { share: 0.2, per_second: 3 }
    }
}
