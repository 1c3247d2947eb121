//! How many calls a second, and how long does each take? The client of the comparison.
//!
//! ```text
//! compare_load --url http://127.0.0.1:9000/mcp --work call --connections 16 --seconds 5
//! compare_load --url … --work call --rate 2000 --seconds 10     at a fixed rate, whatever comes back
//! compare_load --pipe "compare_echo --stdio" --connections 16   a bare client of a pipe
//! ```
//!
//! Each connection is a thread, so that waits are as exact as the system's own. Every answer is compared with
//! what it has to be; one that is wrong ends the process with status 1. The result is one line of JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::panic)]

mod connection;
mod latency;
mod pace;
mod pipe;
mod wire;
mod work;

use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use connection::Connection;
use latency::Latencies;
use pace::Pace;
use work::{Era, Kind};

#[derive(Parser, Clone)]
struct Arguments {
    /// Where to send requests
    #[arg(long, default_value = "")]
    url: String,
    /// Instead: start this command and speak to it over its standard input and output
    #[arg(long)]
    pipe: Option<String>,
    #[arg(long, value_enum, default_value_t = Kind::Call)]
    work: Kind,
    #[arg(long, value_enum, default_value_t = Era::Modern)]
    era: Era,
    /// The tool to call
    #[arg(long, default_value = "echo")]
    tool: String,
    /// Length of its argument
    #[arg(long, default_value_t = 300)]
    bytes: usize,
    /// Least number of tools in a list
    #[arg(long, default_value_t = 1)]
    expect_tools: usize,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Instead: stop after so many requests
    #[arg(long)]
    count: Option<u64>,
    /// Requests a second, sent when they are due and measured from then
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that are not counted
    #[arg(long, default_value_t = 0.0)]
    warmup: f64,
}

fn main() {
    let arguments = Arguments::parse();
    // The first wrong answer says enough; where in this client it was noticed says nothing.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        eprintln!("{}", message.chars().take(400).collect::<String>());
    }));
    if let Some(command) = &arguments.pipe {
        return report(pipe::run(command, &arguments), &arguments);
    }
    // Connections and sessions are opened before the clock starts.
    let works: Vec<Connection> = std::thread::scope(|scope| {
        let open = |n| {
            scope.spawn({
                let arguments = &arguments;
                move || Connection::open(arguments, n)
            })
        };
        let opening: Vec<_> = (0..arguments.connections).map(open).collect();
        opening.into_iter().map(|opened| opened.join().expect("a connection")).collect()
    });
    let pace = Pace::new(&arguments);
    let latencies = std::thread::scope(|scope| {
        let run = |connection: Connection| {
            scope.spawn({
                let pace = &pace;
                move || connection.run(pace)
            })
        };
        let running: Vec<_> = works.into_iter().map(run).collect();
        running.into_iter().map(|ran| ran.join().expect("right answers")).collect::<Vec<_>>()
    });
    report((Latencies::merge(latencies), pace.elapsed()), &arguments);
}

fn report((mut latencies, elapsed): (Latencies, Duration), arguments: &Arguments) {
    let calls = latencies.len();
    let seconds = elapsed.as_secs_f64();
    let result = json!({
        "calls": calls,
        "seconds": seconds,
        "per_second": calls as f64 / seconds,
        "p50_us": latencies.at(0.50),
        "p90_us": latencies.at(0.90),
        "p99_us": latencies.at(0.99),
        "max_us": latencies.at(1.0),
        "first_event_p50_us": latencies.first_events_at(0.50),
        "first_event_p99_us": latencies.first_events_at(0.99),
        "connections": arguments.connections,
    });
    println!("{result}");
}

/// The time since an instant that may not have come yet.
fn since(start: Instant) -> Duration {
    Instant::now().saturating_duration_since(start)
}
