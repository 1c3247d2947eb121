//! How is a file written that nobody else may read, as a whole or not at all?
//!
//! Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// No writer holds a temporary file for so long.
const LONGEST_WRITE: Duration = Duration::from_secs(60);

/// Files that only their owner can read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Replaces the file at `path`: a crash leaves the old one or the new one. Makes the directory.
///
/// # Errors
/// What the file system or `write` refused; the old file is then still there.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    settle(path, write, |temporary| fs::rename(temporary, path))
}

/// Makes the file at `path`, unless there is one: then that one stays. Makes the directory.
///
/// # Errors
/// What the file system refused.
pub(crate) fn make(path: &Path, contents: &[u8]) -> io::Result<()> {
    let link = |temporary: &Path| {
        // A link is made whole or not at all, and never in place of one that is there.
        let linked = fs::hard_link(temporary, path);
        fs::remove_file(temporary)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    };
    settle(path, |file| file.write_all(contents), link)
}

/// Removes what writers left that were killed: every temporary file in `directory` if no other process writes there, else
/// those that are older than any write takes.
pub(crate) fn sweep(directory: &Path, is_alone: bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|held| held.modified()).ok().and_then(|at| at.elapsed().ok());
        let is_left = is_alone || age.is_some_and(|age| age > LONGEST_WRITE);
        if is_left && is_temporary(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// `NAME.PID-NUMBER.new`
fn is_temporary(name: &str) -> bool {
    let writer = name.strip_suffix(".new").and_then(|name| name.rsplit_once('.'));
    let numbers = writer.and_then(|(_, writer)| writer.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

/// Writes a temporary file beside `path` and has `place` put it there.
fn settle(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let temporary = temporary(path);
    let settled = filled(&temporary, write).and_then(|()| place(&temporary));
    if settled.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    settled?;
    sync(directory)
}

fn filled(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(private().write(true).create(true).truncate(true).open(path)?);
    write(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()
}

/// A name of its own for each writer, in the same directory so that a rename is atomic.
fn temporary(path: &Path) -> PathBuf {
    static WRITERS: AtomicU64 = AtomicU64::new(0);
    let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{writer}.new", std::process::id()));
    path.with_file_name(name)
}

/// What was renamed is on disk only once its directory is.
#[cfg(unix)]
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_read_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("file");
        replace(&path, |file| file.write_all(b"first, and longer")).unwrap();
        replace(&path, |file| file.write_all(b"second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let half = replace(&path, |file| file.write_all(b"ha").and(Err(io::Error::other("no more"))));
        assert!(half.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"second", "what fails changes nothing");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["applied.yaml.12-3.new", "applied.yaml", "gateway.yaml.new", "a.b-c.new"];
        names.iter().for_each(|name| fs::write(directory.path().join(name), "x").unwrap());
        sweep(directory.path(), false);
        assert!(directory.path().join(names[0]).exists(), "another process may be writing it now");
        sweep(directory.path(), true);
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.b-c.new", "applied.yaml", "gateway.yaml.new"]);
    }

    #[test]
    fn a_file_that_is_there_is_not_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        make(&path, b"first").unwrap();
        make(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
