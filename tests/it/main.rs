//! Does the gateway keep its promises? Through real connections, real processes and the real program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod binary;
mod catalog;
mod connections;
mod eras;
mod failed_calls;
mod fidelity;
mod http;
mod ids;
mod isolation;
mod oauth;
mod odd;
mod odd_transports;
mod operators;
mod param_headers;
mod plan;
mod processes;
mod reload;
mod restart;
mod rooms;
mod sse_pair;
mod standard_error;
mod subscriptions;
mod support;
mod tasks;
mod tls;
mod vendors;
