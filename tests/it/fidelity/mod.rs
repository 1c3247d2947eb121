//! Does every byte arrive as it was sent, whatever stands between?

mod entries;
mod hops;
mod text;
