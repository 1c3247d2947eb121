//! Can any client use any backend, whatever revision and transport each of them speaks?

mod asking;
mod beside;
mod both;
mod caching;
mod cancel;
mod capabilities;
mod completion;
mod demo;
mod pages;
mod questions;
mod renegotiation;
mod visit;
