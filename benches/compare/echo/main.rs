//! How fast can an MCP server be that does next to nothing?
//!
//! The server behind every gateway of the comparison, so that what is measured is the gateway:
//!
//! ```text
//! compare_echo --listen 127.0.0.1:9000 [--tools 1]      Streamable HTTP, both eras
//! compare_echo --stdio                 [--tools 1]      standard input and output, both eras
//! ```
//!
//! Its tools: `echo` answers with the bytes of its argument `text`; `stream` sends `events` progress
//! notifications before it answers; `tool_1` and so on are there to be listed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod answer;
mod http;
mod stdio;

use std::net::SocketAddr;

use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Serve Streamable HTTP on this address
    #[arg(long, required_unless_present = "stdio")]
    listen: Option<SocketAddr>,
    /// Serve standard input and output
    #[arg(long)]
    stdio: bool,
    /// Tools to list beside `echo` and `stream`
    #[arg(long, default_value_t = 0)]
    tools: usize,
    /// Refuse what the stateless era asks, as servers before it do
    #[arg(long)]
    legacy: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let server = answer::Server::new(arguments.tools, arguments.legacy);
    match arguments.listen {
        Some(address) => http::serve(address, server),
        None => stdio::serve(&server),
    }
}
