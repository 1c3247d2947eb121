//! What do operators see: metrics and logs.
//!
//! | file | the question it answers |
//! |---|---|
//! | `names.rs` | which metrics are there, and what do they mean? |
//! | `recorder.rs` | where do numbers go, and how are they read? |
//! | `fresh.rs` | how does a kept handle outlive its series? |
//! | `calls.rs` | how did the calls end, and how long did they take? |
//! | `backends.rs` | how is each backend? |
//! | `own_process.rs` | what does the process itself take? |
//! | `process.rs` | how is the gateway itself? |
//! | `fields.rs` | how is a field of a log line written for people? |
//! | `logs.rs` | where do log lines go? |
//! | `log_limit.rs` | which lines are written about what happens without end? |
//! | `excerpt.rs` | how is text of a foreign party shown in a line? |
//! | `sink.rs` | how does a line reach standard error without the caller waiting? |
//! | `settings.rs` | what can an operator set? |
//!
//! The room imports no other but `printable`; every room may call it. Numbers are recorded through the functions
//! and handles here, never through the macros of the `metrics` crate: nothing is installed for
//! those, so a number recorded with one is lost.
//!
//! No label ever holds what a client or a server sent, except the names in the catalog.

pub mod backends;
mod calls;
mod excerpt;
mod fields;
mod fresh;
mod log_limit;
mod logs;
mod names;
mod own_process;
pub mod process;
mod recorder;
mod series;
mod settings;
mod sink;

#[cfg(test)]
mod lint;

pub use calls::{CallMetrics, InFlight, Outcome};
pub use excerpt::excerpt;
pub use log_limit::{LogLimit, write_last_log_summaries, write_log_summaries};
pub use logs::{LogError, flush, init, say, set_level};
pub use names::{DECLARED, Declared, Kind};
pub use recorder::{Metrics, install};
pub use settings::{LogFormat, LogLevel, LogSettings};
