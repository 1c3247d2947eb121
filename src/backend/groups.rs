//! Which process groups may still hold a child, or what it started?

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::watch;

use super::marks::Mark;
use super::orphans::kill_orphans;

/// Every child leads a group of its own; its number stays here until all of the group was killed.
static GROUPS: LazyLock<watch::Sender<BTreeSet<i32>>> = LazyLock::new(watch::Sender::default);

/// Orphans that live with this process, see `orphans.rs`.
static ORPHANS: LazyLock<watch::Sender<BTreeSet<i32>>> = LazyLock::new(watch::Sender::default);

/// The groups there are, and every change of them.
pub(super) fn groups() -> watch::Receiver<BTreeSet<i32>> {
    GROUPS.subscribe()
}

/// The orphans there are, and every change of them.
pub(super) fn orphans() -> watch::Receiver<BTreeSet<i32>> {
    ORPHANS.subscribe()
}

pub(super) fn enter(group: Pid) {
    GROUPS.send_if_modified(|groups| groups.insert(number(group)));
}

pub(super) fn leave(group: Pid) {
    GROUPS.send_if_modified(|groups| groups.remove(&number(group)));
}

/// Notes which orphans there are now.
pub(super) fn adopt(now: BTreeSet<i32>) {
    ORPHANS.send_if_modified(|orphans| {
        let is_other = *orphans != now;
        *orphans = now;
        is_other
    });
}

/// Kills every child and what it started, at once: the last thing a process does that must not wait.
pub fn kill_all() {
    kill(&GROUPS.send_replace(BTreeSet::new()));
    Mark::of_all().kill();
    kill_orphans();
}

/// Kills all of these groups.
pub(super) fn kill(groups: &BTreeSet<i32>) {
    for group in groups.iter().filter_map(|group| Pid::from_raw(*group)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn number(group: Pid) -> i32 {
    group.as_raw_nonzero().get()
}
