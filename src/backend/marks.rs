//! Which processes come from a child? Each child is given a variable that its own children inherit,
//! whatever process group or session they move to. Linux shows it in `/proc`; elsewhere nobody is found.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand;
use memchr::memmem;
use rustix::process::{Pid, Signal, kill_process};

/// The variable. A process that takes it out of its environment is not found by it.
pub(super) const VARIABLE: &str = "SWITCHYARD_CHILD";
/// A process may start another one while it is being looked for.
const ROUNDS: usize = 10;
/// One that is just becoming another program shows no environment for a moment: nothing is gone before two
/// looks in a row, this far apart, have found nothing.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// This gateway's own part of every mark.
static OWN: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0; 8];
    // Without entropy the process id has to do, which is one gateway's at a time.
    let drawn = rand::fill(&mut bytes).is_ok();
    let mut own = if drawn { String::new() } else { format!("{}-", std::process::id()) };
    for byte in bytes {
        let _ = write!(own, "{byte:02x}");
    }
    own
});

/// What the processes of one child have in common, or those of all children of one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark(String);

impl Mark {
    /// For one more child of this gateway.
    pub(super) fn draw() -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        Self(format!("{}.{}", *OWN, DRAWN.fetch_add(1, Ordering::Relaxed)))
    }

    /// Of all children of this gateway.
    pub(super) fn of_all() -> Self {
        Self(OWN.clone())
    }

    /// As another process was told it.
    pub(super) fn told(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Kills every process with this mark that can be found. Blocks for at least 10 ms.
    #[expect(
        clippy::disallowed_methods,
        reason = "called where blocking is allowed, or nothing runs any more"
    )]
    pub(super) fn kill(&self) {
        let mut in_vain = 0;
        for _ in 0..ROUNDS {
            let found = self.processes();
            in_vain = if found.is_empty() { in_vain + 1 } else { 0 };
            if in_vain == 2 {
                break;
            }
            for pid in found {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Every process with this mark that can be found.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| self.is_on(&entry.path())).collect()
    }

    /// The process at `path`, if it has the mark. One that has ended shows no environment.
    fn is_on(&self, path: &Path) -> Option<Pid> {
        let pid = path.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw)?;
        let environment = std::fs::read(path.join("environ")).ok()?;
        self.is_in(&environment).then_some(pid)
    }

    fn is_in(&self, environment: &[u8]) -> bool {
        let name = [VARIABLE.as_bytes(), b"="].concat();
        if memmem::find(environment, self.0.as_bytes()).is_none() {
            return false;
        }
        let values =
            environment.split(|byte| *byte == 0).filter_map(|variable| variable.strip_prefix(&*name));
        let mut rests = values.filter_map(|value| value.strip_prefix(self.0.as_bytes()));
        rests.any(|rest| rest.is_empty() || rest.starts_with(b"."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(mark: &str, environment: &[u8]) -> bool {
        Mark(mark.to_owned()).is_in(environment)
    }

    #[test]
    fn a_mark_is_found_on_its_own_child_and_the_gateways_on_all() {
        let environment = b"PATH=/bin\0SWITCHYARD_CHILD=aa.12\0X=1\0";
        assert!(is_in("aa.12", environment) && is_in("aa", environment));
        assert!(!is_in("aa.1", environment) && !is_in("a", environment) && !is_in("ab", environment));
        assert!(!is_in("aa.12", b"OTHER_SWITCHYARD_CHILD=aa.12\0X=aa.12\0"));
        assert!(!is_in("aa", b""));
    }

    #[test]
    fn no_two_children_have_one_mark() {
        let (one, two) = (Mark::draw(), Mark::draw());
        assert_ne!(one, two);
        assert!(one.as_str().starts_with(Mark::of_all().as_str()));
    }
}
