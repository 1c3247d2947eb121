//! How is a child started so that this process alone learns how it ended, and with the limits it would have without a
//! gateway between?
//!
//! Orphans are reaped by their number (see `orphans.rs`). A child's number is known here before it can be taken for one.

use std::collections::BTreeSet;
use std::io;
use std::sync::OnceLock;

use parking_lot::{Mutex, RwLock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::process::{Child, Command};

/// Held while a child is started and not known yet.
static STARTING: RwLock<()> = RwLock::new(());
/// The numbers of children that are waited for where they were started.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
/// The limit on file descriptors before it was raised.
static DESCRIPTORS: OnceLock<Rlimit> = OnceLock::new();

/// What a system allows that has no limit to give, in the end (macOS).
const MODEST: u64 = 10_240;

/// A child that is waited for here, for as long as this lives.
#[derive(Debug)]
pub(super) struct Own(Option<i32>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            OWN.lock().remove(&pid);
        }
    }
}

/// Starts a child.
///
/// # Errors
/// What the system said.
pub(super) fn launch(command: &mut Command) -> io::Result<(Child, Own)> {
    let _starting = STARTING.read();
    let child = command.spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        OWN.lock().insert(pid);
        give_back(pid);
    }
    Ok((child, Own(pid)))
}

/// Does `work` with the numbers of all children, unless one is being started.
pub(super) fn with_own<T>(work: impl FnOnce(&BTreeSet<i32>) -> T) -> Option<T> {
    let _settled = STARTING.try_write()?;
    let own = OWN.lock().clone();
    Some(work(&own))
}

/// Lets this process open as many files as the system allows it. Its children keep the limit that it had: some programs
/// walk through all the descriptors they might have.
pub fn raise_descriptors() {
    let before = getrlimit(Resource::Nofile);
    if before.current == before.maximum {
        return;
    }
    // No limit is more than any.
    let is_more = |limit: Option<u64>| limit.unwrap_or(u64::MAX) > before.current.unwrap_or(u64::MAX);
    let raised = [before.maximum, Some(MODEST)]
        .into_iter()
        .any(|current| is_more(current) && setrlimit(Resource::Nofile, Rlimit { current, ..before }).is_ok());
    if raised {
        let _ = DESCRIPTORS.set(before);
    }
}

/// A child has the raised limit for an instant, because nothing can be run between its start and its program.
#[cfg(target_os = "linux")]
fn give_back(pid: i32) {
    if let (Some(limit), Some(pid)) = (DESCRIPTORS.get(), rustix::process::Pid::from_raw(pid)) {
        let _ = rustix::process::prlimit(Some(pid), Resource::Nofile, *limit);
    }
}

/// Elsewhere no limit of another process can be set: children have the raised one.
#[cfg(not(target_os = "linux"))]
fn give_back(_: i32) {}
