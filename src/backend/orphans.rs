//! What becomes of processes whose parent, a backend's process, has ended?
//!
//! On Linux they become children of the gateway (`PR_SET_CHILD_SUBREAPER`, or because it is process 1): it reaps those
//! that end, tells the guardian of those that live, and kills them when it ends itself. That finds daemons too that left
//! group and session and wrote over their environment. While the gateway goes on they are left alone, because nothing
//! says whose they were.

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::sync::OnceLock;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::time::{sleep, timeout};

    use super::super::groups;
    use super::super::launch::with_own;
    use super::super::process_table::children;

    /// Children that were there before: whatever became this program had started them.
    static BEFORE: OnceLock<BTreeSet<i32>> = OnceLock::new();
    /// Between two looks that no end of a child asked for: an orphan comes without a signal.
    const LOOK: Duration = Duration::from_secs(2);
    /// Ends that come together are seen together.
    const TOGETHER: Duration = Duration::from_millis(50);
    /// Generations that are killed: the children of an orphan are orphans once it is gone.
    const ROUNDS: u32 = 50;
    const BETWEEN_ROUNDS: Duration = Duration::from_millis(10);

    /// Takes in orphans from now on. To be called once, before any child is started, within a runtime.
    pub fn adopt_orphans() {
        let _ = BEFORE.set(children().into_iter().collect());
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::debug!(%error, "orphans of backends are found by their mark only");
        }
        tokio::spawn(reap());
    }

    async fn reap() {
        let mut ends = signal(SignalKind::child()).ok();
        loop {
            if let Some(ends) = &mut ends {
                let _ = timeout(LOOK, ends.recv()).await;
                sleep(TOGETHER).await;
            } else {
                sleep(LOOK).await;
            }
            if let Some(orphans) = living() {
                groups::adopt(orphans);
            }
        }
    }

    /// The orphans that live; those that do not are reaped. None while a child is being started.
    fn living() -> Option<BTreeSet<i32>> {
        let before = BEFORE.get()?;
        with_own(|own| {
            let foreign = children().into_iter().filter(|pid| !own.contains(pid));
            let living = foreign.filter(|pid| !has_ended(*pid));
            living.filter(|pid| !before.contains(pid)).collect()
        })
    }

    /// Only by its number, so that no other child's end is taken from whoever waits for it.
    fn has_ended(pid: i32) -> bool {
        let Some(pid) = Pid::from_raw(pid) else { return true };
        !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
    }

    /// Kills every orphan, and what they started. Blocks; to be called when no child is of use any more.
    #[expect(
        clippy::disallowed_methods,
        reason = "called where blocking is allowed, or nothing runs any more"
    )]
    pub fn kill_orphans() {
        for _ in 0..ROUNDS {
            let orphans = living();
            if orphans.as_ref().is_some_and(BTreeSet::is_empty) || BEFORE.get().is_none() {
                return;
            }
            for pid in orphans.into_iter().flatten().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(BETWEEN_ROUNDS);
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::{adopt_orphans, kill_orphans};

/// Elsewhere orphans go to process 1.
#[cfg(not(target_os = "linux"))]
pub fn adopt_orphans() {}

/// Elsewhere there are none here.
#[cfg(not(target_os = "linux"))]
pub fn kill_orphans() {}
