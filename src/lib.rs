//! Switchyard.
pub mod backend;
pub mod catalog;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod gateway;
pub mod protocol;
pub mod resilience;
pub mod router;
pub mod server;
pub mod telemetry;
pub mod units;
