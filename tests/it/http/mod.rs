//! What does the endpoint refuse, and in which words?

mod auth;
mod bodies;
mod deaf;
mod hardening;
mod modern;
mod resume;
mod sessions;
mod shares;
mod wire;
