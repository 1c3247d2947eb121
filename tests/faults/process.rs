//! What does a process hold? As the kernel knows it.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// For what ends to be gone: the guardian looks for leftovers once the gateway has ended, and then ends too; a child is
/// told to end before it is made to.
const GONE: Duration = Duration::from_secs(20);
/// The kernel's ticks in a second, as Linux shows times of processes to everybody.
const TICKS: u64 = 100;

/// Memory in RAM, in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    value.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Open file descriptors.
pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Every process that descends from `root`, and how many of them wait to be reaped.
pub(crate) fn descendants(root: u32) -> (Vec<u32>, usize) {
    let (mut found, mut zombies, mut open) = (Vec::new(), 0, vec![root]);
    while let Some(parent) = open.pop() {
        for child in children(parent) {
            zombies += usize::from(!is_alive(child));
            found.push(child);
            open.push(child);
        }
    }
    (found, zombies)
}

/// How many processes descend from `root`, and how many of them wait to be reaped, once they are no more than `wanted`
/// and none waits, or do not become so.
pub(crate) async fn settled(root: u32, wanted: usize) -> (usize, usize) {
    let deadline = Instant::now() + GONE;
    loop {
        let (found, zombies) = descendants(root);
        if (found.len() <= wanted && zombies == 0) || Instant::now() > deadline {
            return (found.len(), zombies);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn children(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Whether a process exists and is no mere entry waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// How many of these processes live on, though what ended had time to take them along.
pub(crate) async fn left_of(processes: &[u32]) -> usize {
    let deadline = Instant::now() + GONE;
    loop {
        let left = processes.iter().filter(|pid| is_alive(**pid)).count();
        if left == 0 || Instant::now() > deadline {
            return left;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Time that a process has spent on processors.
pub(crate) fn worked(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default().split(' ');
    // The 14th and 15th of the whole line: as the program itself, and as the kernel on its behalf.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
