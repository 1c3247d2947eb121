//! What does the process itself take: processor time, memory, file descriptors? Read when metrics are.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::names::{PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_VIRTUAL};
use super::recorder::{counter, gauge};

/// Where the process finds its own file descriptors.
const DESCRIPTORS: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// Shows what there is to know on this system.
pub(super) fn show() {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    counter(&PROCESS_CPU, []).absolute(u64::try_from(used.tv_sec).unwrap_or_default());
    if let Ok(open) = fs::read_dir(DESCRIPTORS) {
        // One of them is open for reading the others.
        gauge(&PROCESS_OPEN_FDS, []).set(open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        gauge(&PROCESS_MAX_FDS, []).set(most as f64);
    }
    if let Some([whole, resident]) = fs::read_to_string("/proc/self/statm").ok().as_deref().and_then(memory) {
        gauge(&PROCESS_VIRTUAL, []).set(whole);
        gauge(&PROCESS_RESIDENT, []).set(resident);
    }
}

/// Bytes, of the first two numbers of pages (proc_pid_statm(5)).
fn memory(statm: &str) -> Option<[f64; 2]> {
    let page = rustix::param::page_size() as f64;
    let mut pages = statm.split(' ').map(|pages| pages.parse::<f64>().ok());
    Some([pages.next()?? * page, pages.next()?? * page])
}

#[cfg(test)]
mod tests {
    use super::super::lint::value;
    use super::super::recorder::install;
    use super::*;

    #[test]
    fn the_process_sees_itself() {
        let page = install().render();
        let there = |name: &str| value(&page, name);
        assert!(there("process_open_fds").is_some_and(|open| open >= 3.0), "{page}");
        assert!(there("process_max_fds") > there("process_open_fds"));
        assert!(there("process_cpu_seconds_total").is_some());
        if cfg!(target_os = "linux") {
            assert!(there("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
            assert!(there("process_virtual_memory_bytes") > there("process_resident_memory_bytes"));
        }
    }

    #[test]
    fn pages_are_counted_in_bytes() {
        let page = rustix::param::page_size() as f64;
        assert_eq!(memory("10 2 1 1 0 1 0\n"), Some([10.0 * page, 2.0 * page]));
        assert_eq!(memory("10"), None);
    }
}
