//! What do the tests stand on: raw peers on both sides of a running gateway.

pub(crate) mod authority;
pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod demo;
pub(crate) mod gateway;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod poll;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod program;

pub(crate) use backend::{Answer, Asked, RawBackend, Speaks};
pub(crate) use client::Client;
pub(crate) use gateway::Yard;
pub(crate) use message::{Message, member};
pub(crate) use poll::{eventually, within};
