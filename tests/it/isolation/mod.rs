//! Does any backend's failure, slowness or garbage reach what belongs to another?

mod breaker;
mod dead_stream;
mod floods;
mod garbage;
mod killed;
mod replicas;
mod retries;
mod silent;
mod start;
