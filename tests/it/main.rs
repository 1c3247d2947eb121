//! Does the gateway keep its promises? Through real connections, real processes and the real program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fidelity;
mod support;
