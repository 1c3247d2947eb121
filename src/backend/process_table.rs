//! Which processes are there, and who started them? Linux shows that in `/proc`; elsewhere there are none to be found.

use std::collections::BTreeSet;
use std::fs;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
}

impl Process {
    /// Reads a line of `/proc/PID/stat`. The name in it may hold anything, parentheses too.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = (stat.split(' ').next()?, stat.rsplit_once(") ")?.1);
        let mut fields = rest.split(' ').skip(1).map_while(|field| field.parse().ok());
        Some(Self { pid: pid.parse().ok()?, parent: fields.next()?, group: fields.next()? })
    }
}

/// Every process that can be seen.
pub(super) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
    stats.filter_map(|entry| Process::parse(&fs::read_to_string(entry.path().join("stat")).ok()?)).collect()
}

/// The children of this process. The kernel lists them with each of its threads; not every kernel does.
pub(super) fn children() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists: Option<Vec<String>> =
        tasks.map(|task| fs::read_to_string(task.path().join("children")).ok()).collect();
    match lists {
        Some(lists) => {
            lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
        }
        None => {
            let own = i32::try_from(std::process::id()).unwrap_or_default();
            processes().iter().filter(|one| one.parent == own).map(|one| one.pid).collect()
        }
    }
}

/// The processes that `is_root` finds, and all that descend from them.
pub(super) fn descendants(all: &[Process], is_root: impl Fn(&Process) -> bool) -> BTreeSet<i32> {
    let mut found: BTreeSet<i32> = all.iter().filter(|one| is_root(one)).map(|one| one.pid).collect();
    loop {
        let more: Vec<i32> = all
            .iter()
            .filter(|one| found.contains(&one.parent) && !found.contains(&one.pid))
            .map(|one| one.pid)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let read = Process::parse("12 (a) R (b) S 3 4 5 0 -1");
        assert_eq!(read, Some(Process { pid: 12, parent: 3, group: 4 }));
        assert_eq!(Process::parse("12 (a"), None);
    }

    #[test]
    fn descendants_are_found_through_all_generations() {
        let process = |pid, parent| Process { pid, parent, group: pid };
        let all = [process(4, 3), process(3, 2), process(2, 1), process(9, 1)];
        assert_eq!(descendants(&all, |one| one.pid == 2), BTreeSet::from([2, 3, 4]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_own_children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let is_found = children().contains(&pid);
        let own = i32::try_from(std::process::id()).unwrap();
        let is_shown = processes().iter().any(|one| one.pid == pid && one.parent == own);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_found && is_shown);
    }
}
