//! When has the file changed?
//!
//! The directories are watched, not the files: editors put a new file in the place of the old one, and a
//! mounted ConfigMap swaps a symbolic link. What counts is what the files hold, and a look every few seconds
//! finds what no event told of (network file systems, watches that ran out).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// Quiet for so long, a change is over.
const QUIET: Duration = Duration::from_millis(100);
/// A change that never ends is looked at after all.
const RESTLESS: Duration = Duration::from_secs(1);
/// Between looks that nothing asked for.
const POLL: Duration = Duration::from_secs(5);
/// How often files that change while they are read are read again.
const ATTEMPTS: usize = 3;
/// Longest chain of symbolic links that is followed, as the kernel has it.
const LINKS: usize = 40;

/// Looks at a configuration file and every file it refers to.
pub struct Watch {
    files: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
    /// None where the system has no watches to give: then the looks have to do.
    watcher: Option<RecommendedWatcher>,
    stirred: Arc<Notify>,
    seen: Vec<u8>,
}

impl Watch {
    /// Watches `files`, which were just read.
    pub fn new(files: BTreeSet<PathBuf>) -> Self {
        let stirred = Arc::new(Notify::new());
        let told = Arc::clone(&stirred);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and this reads them.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                told.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::warn!(%error, "changes of the configuration are found by looking only"),
            )
            .ok();
        let seen = fingerprint(&files);
        let mut watch = Self { files, directories: BTreeSet::new(), watcher, stirred, seen };
        watch.cover();
        watch
    }

    /// What `read` makes of the files, which then count as seen. They are read again if they changed meanwhile:
    /// otherwise what was read could be one thing, what is seen another, and a change back to it none.
    pub fn steady<T>(&mut self, mut read: impl FnMut() -> T) -> T {
        for _ in 1..ATTEMPTS {
            self.seen = fingerprint(&self.files);
            let made = read();
            if fingerprint(&self.files) == self.seen {
                return made;
            }
        }
        self.seen = fingerprint(&self.files);
        read()
    }

    /// Watches these files instead; one that changed meanwhile counts as changed. `false` if they are the same.
    pub fn follow(&mut self, files: BTreeSet<PathBuf>) -> bool {
        if files == self.files {
            return false;
        }
        let unchanged = fingerprint(&self.files) == self.seen;
        self.files = files;
        self.cover();
        if unchanged {
            self.seen = fingerprint(&self.files);
        }
        true
    }

    /// Returns once the files hold something else than when it last returned. Cancel-safe.
    pub async fn changed(&mut self) {
        loop {
            if timeout(POLL, self.stirred.notified()).await.is_ok() {
                self.settle().await;
            }
            let now = fingerprint(&self.files);
            if now != self.seen {
                self.seen = now;
                // A link may lead elsewhere now.
                self.cover();
                return;
            }
        }
    }

    async fn settle(&self) {
        let end = Instant::now() + RESTLESS;
        while timeout_at(end.min(Instant::now() + QUIET), self.stirred.notified()).await.is_ok() {
            if Instant::now() >= end {
                return;
            }
        }
    }

    /// Watches the directories in which something may happen to the files.
    fn cover(&mut self) {
        let wanted: BTreeSet<PathBuf> = self.files.iter().flat_map(|file| directories(file)).collect();
        if let Some(watcher) = &mut self.watcher {
            for gone in self.directories.difference(&wanted) {
                // A directory that is gone has taken its watch with it.
                let _ = watcher.unwatch(gone);
            }
            for new in wanted.difference(&self.directories) {
                if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                    tracing::debug!(%error, directory = %new.display(), "no watch on a directory of the configuration");
                }
            }
        }
        self.directories = wanted;
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The directory of `file` and, where symbolic links lead on from there, of every link and of the end.
fn directories(file: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut at = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    for _ in 0..LINKS {
        let Some(directory) = at.parent().map(Path::to_owned) else { break };
        found.push(directory.clone());
        // Links among the directories on the way, too: `..data` of a ConfigMap is one.
        found.extend(directory.canonicalize());
        match std::fs::read_link(&at) {
            Ok(target) => at = directory.join(target),
            Err(_) => break,
        }
    }
    found
}

/// What a file holds, if it is one that would be read: anything but a regular file may have no end.
fn held(file: &Path) -> Option<Vec<u8>> {
    // Asked first: who opens a pipe waits for its other end.
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut held = Vec::new();
    File::open(file).ok()?.take(super::MAX_FILE + 1).read_to_end(&mut held).ok()?;
    Some(held)
}

/// A digest of what the files hold. One that cannot be read counts as that.
fn fingerprint(files: &BTreeSet<PathBuf>) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    for file in files {
        let held = held(file);
        digest.update(&[u8::from(held.is_some())]);
        digest.update(&held.as_ref().map_or(0, Vec::len).to_le_bytes());
        digest.update(&held.unwrap_or_default());
    }
    digest.finish().as_ref().to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Generous, and below the next look that nothing asked for.
    const SOON: Duration = Duration::from_secs(4);

    async fn is_seen(watch: &mut Watch) {
        timeout(SOON, watch.changed()).await.unwrap();
    }

    #[tokio::test]
    async fn a_change_in_place_and_one_by_rename_are_seen_and_a_touch_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gateway.yaml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new([file.clone()].into());
        fs::write(&file, "2").unwrap();
        is_seen(&mut watch).await;
        fs::write(&file, "2").unwrap();
        fs::write(directory.path().join("new"), "3").unwrap();
        fs::rename(directory.path().join("new"), &file).unwrap();
        is_seen(&mut watch).await;
        assert_eq!(watch.seen, fingerprint(&watch.files));
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_read_again_and_a_change_back_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gateway.yaml");
        fs::write(&file, "good").unwrap();
        let mut watch = Watch::new([file.clone()].into());
        let mut reads = 0;
        let read = watch.steady(|| {
            reads += 1;
            let read = fs::read_to_string(&file).unwrap();
            fs::write(&file, "broken").unwrap();
            read
        });
        assert_eq!((read.as_str(), reads), ("broken", 2));
        fs::write(&file, "good").unwrap();
        is_seen(&mut watch).await;
    }

    #[tokio::test]
    async fn what_has_no_end_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        symlink("/dev/zero", &secret).unwrap();
        let mut watch = Watch::new([secret.clone()].into());
        fs::write(directory.path().join("new"), "1").unwrap();
        fs::rename(directory.path().join("new"), &secret).unwrap();
        is_seen(&mut watch).await;
    }

    #[tokio::test]
    async fn a_symbolic_link_that_is_swapped_is_seen_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let publish = |version: &str| {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("gateway.yaml"), version).unwrap();
            symlink(version, at("..tmp")).unwrap();
            fs::rename(at("..tmp"), at("..data")).unwrap();
        };
        publish("v1");
        symlink("..data/gateway.yaml", at("gateway.yaml")).unwrap();
        let mut watch = Watch::new([at("gateway.yaml")].into());
        for version in ["v2", "v3"] {
            publish(version);
            is_seen(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn a_file_in_another_directory_is_seen_once_it_is_followed() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, secret) = (one.path().join("gateway.yaml"), other.path().join("secret"));
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new([file.clone()].into());
        watch.follow([file, secret.clone()].into());
        fs::write(&secret, "new").unwrap();
        is_seen(&mut watch).await;
    }
}
