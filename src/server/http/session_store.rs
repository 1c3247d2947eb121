//! Where does what is kept of sessions outlive the process?

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::kept_sessions::{Kept, Set};
use crate::files;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What is kept of sessions, in memory and in a file if there is one.
#[derive(Default)]
pub(super) struct SessionStore {
    /// Locked before `kept`, for as long as the disk takes.
    file: Mutex<Option<File>>,
    kept: Mutex<Kept>,
    /// Notified when there is something to write.
    stirred: Notify,
}

impl SessionStore {
    /// Keeps everything in `path` from now on; what is there already counts.
    pub(super) fn keep_in(&self, path: PathBuf) {
        let mut file = File::new(path);
        self.look(&mut file);
        *self.file.lock() = Some(file);
    }

    /// Remembers that a session has ended.
    pub(super) fn end(&self, id: &str, opened: u64) {
        self.kept.lock().end(id, opened);
        self.stir();
    }

    /// What the client of a session that another process opened set there; `None` if the session has ended.
    pub(super) fn take(&self, id: &str, opened: u64) -> Option<Set> {
        if let Some(file) = &mut *self.file.lock() {
            self.look(file);
        }
        let mut kept = self.kept.lock();
        (!kept.has_ended(id, opened)).then(|| kept.take(id).unwrap_or_default())
    }

    /// Says that there is something new to write.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Returns once there is something new to write.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// Writes everything, with what the clients of the sessions that are `open` set. Blocks.
    pub(super) fn write(&self, open: impl FnOnce() -> Vec<(String, Set)>) {
        let mut file = self.file.lock();
        let Some(file) = &mut *file else { return };
        self.look(file);
        // Taken before the lock: whoever ends a session holds its entry, and waits for the lock.
        let open = open();
        let kept = self.kept.lock().with(open);
        if let Err(error) = file.write(&kept) {
            tracing::warn!(%error, "sessions could not be kept for the next start; is `state_dir` writable?");
        }
    }

    fn look(&self, file: &mut File) {
        if let Some(other) = file.news() {
            self.kept.lock().absorb(other);
        }
    }
}

/// The file, and what was last seen of it.
struct File {
    path: PathBuf,
    seen: Option<SystemTime>,
}

impl File {
    fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// What somebody else wrote since this was last called.
    fn news(&mut self) -> Option<Kept> {
        let written = fs::metadata(&self.path).and_then(|about| about.modified()).ok();
        if written.is_none() || written == self.seen {
            return None;
        }
        self.seen = written;
        let read = read(&self.path);
        read.inspect_err(|error| {
            tracing::warn!(%error, file = %self.path.display(), "the kept sessions cannot be read");
        })
        .ok()
    }

    /// Writes everything, readable by nobody else.
    fn write(&mut self, kept: &Kept) -> io::Result<()> {
        let text = serde_json::to_vec(kept)?;
        files::replace(&self.path, |file| file.write_all(&text))?;
        self.seen = fs::metadata(&self.path)?.modified().ok();
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Kept> {
    let length = fs::metadata(path)?.len();
    if length > MAX_FILE {
        return Err(io::Error::other("larger than 64 MiB"));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::units::seconds_since_1970 as now;

    fn set(level: &str) -> Set {
        Set { opened: now(), level: level.to_owned(), watches: vec!["a://1".to_owned()] }
    }

    fn store_in(path: &Path) -> SessionStore {
        let store = SessionStore::default();
        store.keep_in(path.to_owned());
        store
    }

    #[test]
    fn what_was_written_is_there_for_the_next_and_for_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state").join("sessions.json");
        let store = store_in(&path);
        store.end("gone", now());
        store.write(|| vec![("open".to_owned(), set("debug"))]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("gone") && !text.contains("\"open\""), "{text}");

        let next = store_in(&path);
        assert_eq!(next.take("gone", now()), None);
        let taken = (next.take("open", now()), next.take("open", now()));
        assert_eq!(
            taken,
            (Some(set("debug")), Some(Set::default())),
            "from then on the session remembers it"
        );
    }
}
