//! Does any backend's failure, slowness or garbage reach what belongs to another?

mod breaker;
mod garbage;
mod killed;
mod retries;
mod silent;
mod start;
