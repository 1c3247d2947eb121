//! Does every byte arrive as it was sent, whatever stands between?

mod entries;
mod hops;
mod messages;
mod streams;
mod text;
