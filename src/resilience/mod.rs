//! When do we refuse a call, and how long do we wait before trying again?
//!
//! | file | the question it answers |
//! |---|---|
//! | `breaker.rs` | is this backend well enough to be sent a call? |
//! | `closed.rs` | when does a closed circuit trip? |
//! | `verdict.rs` | what does the end of a call say about the backend? |
//! | `window.rs` | how did the calls of the last seconds end? |
//! | `refused.rs` | why may a call not be sent now? |
//! | `transition.rs` | what is there to tell operators about a circuit? |
//! | `permit.rs` | who may send, and what if the sender vanishes? |
//! | `bulkhead.rs` | how many calls may one backend hold at a time? |
//! | `place_queue.rs` | who holds its places, and who gets the next? |
//! | `fair_share.rs` | who gives way when a bound is reached? |
//! | `backoff.rs` | how long until the next attempt? |
//! | `crash_loop.rs` | when is starting a process again of no use? |
//! | `budget.rs` | may one more call be made again? |
//! | `rate_limit.rs` | does something arrive faster than it may? |
//! | `outlier.rs` | which of several replicas does worse than the others? |
//! | `wait.rs` | how much of a wait is left? |
//! | `jitter.rs` | how are simultaneous waits spread out? |
//! | `settings.rs` | what can an operator set? |
//!
//! A call takes a [`Place`] in the [`Bulkhead`] first and a [`Permit`] from the [`SharedBreaker`]
//! second: a call that has to queue must be judged by the circuit as it is when it is sent, not as
//! it was when the call arrived. What an answer means for the circuit (its [`Verdict`]) is decided
//! by the caller, who knows the protocol; a tool that answers `isError: true` is a success here.
//!
//! The room is pure: the current time is passed in. Only the bulkhead waits, on tokio's clock.

mod backoff;
mod breaker;
mod budget;
mod bulkhead;
mod closed;
mod crash_loop;
mod fair_share;
mod jitter;
mod outlier;
mod permit;
mod place_queue;
mod rate_limit;
mod refused;
mod settings;
mod transition;
mod verdict;
mod wait;
mod window;

#[cfg(test)]
mod model;

pub use backoff::Backoff;
pub use breaker::{Breaker, Ticket};
pub use budget::RetryBudget;
pub use bulkhead::{Bulkhead, Busy, Place};
pub use crash_loop::CrashLoop;
pub use fair_share::{FairShare, Holder, Share};
#[cfg(test)]
pub(crate) use jitter::fix_jitter;
pub use jitter::jitter;
pub use outlier::Outliers;
pub use permit::{Permit, SharedBreaker};
pub use rate_limit::RateLimit;
pub use refused::{Reason, Refused};
pub use settings::{BreakerSettings, ConcurrencySettings, RestartSettings, RetrySettings};
pub use transition::{BreakerState, Cause, Transition};
pub use verdict::Verdict;
pub use window::{Counts, Window};
