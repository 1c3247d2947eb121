//! What is left of a backend's processes, and of all that they started?

mod crash_loop;
mod leftovers;

use crate::support::gateway::raw_stdio;

/// A server that starts two processes which outlive it: one in its group, one in a session of its own whose
/// parent is gone at once. Both sleep for a time by which they are known.
fn prolific(name: &str, sleep: u64) -> String {
    let server = raw_stdio();
    let script =
        format!("sleep {sleep} & (setsid sleep {sleep} >/dev/null 2>&1 &); exec {} legacy", server.display());
    format!("  {name}: {{ command: sh, args: [-c, \"{script}\"], restart: {{ backoff: 20ms }} }}\n")
}

/// A time that no other process on this machine sleeps for.
fn some_time(test: u64) -> u64 {
    1_000_000_000 + u64::from(std::process::id()) * 10 + test
}

/// The processes that sleep for this time.
fn sleeping(sleep: u64) -> Vec<u32> {
    let wanted = format!("sleep\0{sleep}\0");
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        (line == wanted.as_bytes()).then_some(pid)
    });
    all.collect()
}
