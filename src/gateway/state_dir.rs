//! Which configuration file does a state directory belong to, and which processes use it?
//!
//! Two locks (`flock`) answer that. They end with the process that holds them, however it ends.
//!
//! - `gateway.lock` names a process and its configuration file. Every process that serves holds it shared, so that any
//!   number of them can use the directory with the same file; another file gets in only when none is left.
//! - `serving.lock` is held shared by those that serve over HTTP, until their very end: a successor of one that drains
//!   waits for it.
//!
//! Commands that end by themselves (`check`, `list`, `connect`) take no lock.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use rustix::process::{Pid, test_kill_process};
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::files;

const OWNER: &str = "gateway.lock";
const SERVING: &str = "serving.lock";
/// Looks at a lock that another process holds for the moment of writing its name.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A state directory in use by this process, for as long as this lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// None where the directory cannot be written: then nothing is kept, and nobody can be in the way.
    locks: Option<Locks>,
}

#[derive(Debug)]
struct Locks {
    _owner: File,
    serving: File,
}

/// Who uses a directory.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    pid: Option<i32>,
    file: PathBuf,
}

enum Claim {
    /// Whether no other process uses the directory.
    Ours(Locks, bool),
    Taken(Holder),
}

impl StateDir {
    /// Claims the directory of `config`. One that is not named in the file, and belongs to another file, is left to
    /// that one: then `config` is given a directory of its own beneath it.
    ///
    /// # Errors
    /// The directory is named in the file, and a process with another file uses it.
    pub async fn claim(config: &mut Config) -> anyhow::Result<Self> {
        let file = identity(&config.path);
        if !config.names_state_dir
            && let Some(holder) = owner(&config.state_dir)
            && !holder.is(&file)
            && holder.file.exists()
        {
            move_out(config, &holder);
        }
        match claim(&config.state_dir, &file).await {
            Ok(Claim::Ours(locks, is_alone)) => {
                sweep(&config.state_dir, is_alone);
                Ok(Self { path: config.state_dir.clone(), locks: Some(locks) })
            }
            Ok(Claim::Taken(holder)) => bail!(
                "the state directory {} is in use by {holder}; give {} one of its own, for example \
                 `state_dir: {}`",
                config.state_dir.display(),
                config.path.display(),
                suggestion(&config.path),
            ),
            Err(error) => {
                let directory = config.state_dir.display();
                tracing::warn!(%error, %directory, "the state directory cannot be locked; another gateway would not be noticed");
                Ok(Self { path: config.state_dir.clone(), locks: None })
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that this process serves over HTTP, until its end.
    ///
    /// Another process may hold the lock for the instant in which it looks whether it is free.
    pub async fn serve(&self) {
        let Some(locks) = &self.locks else { return };
        for _ in 0..LOOKS {
            match locks.serving.try_lock_shared() {
                Ok(()) => return,
                Err(TryLockError::WouldBlock) => sleep(BETWEEN_LOOKS).await,
                Err(TryLockError::Error(error)) => {
                    tracing::debug!(%error, "a successor will not wait for the end of this process");
                    return;
                }
            }
        }
    }

    /// Whether a process serves over HTTP with this directory.
    pub fn is_served(&self) -> bool {
        let Some(locks) = &self.locks else { return false };
        let is_free = locks.serving.try_lock().is_ok();
        let _ = locks.serving.unlock();
        !is_free
    }

    /// Waits until no process serves over HTTP with this directory, at most `limit`; whether none does.
    pub async fn vacated(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_served() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        true
    }
}

/// Gives `config` a directory of its own, with a copy of the grants that it may have in the common one.
fn move_out(config: &mut Config, holder: &Holder) {
    let own = Config::own_state_dir(&config.path);
    if !own.exists()
        && let Err(error) = copy_grants(&config.state_dir, &own)
    {
        tracing::warn!(%error, "the grants of backends could not be copied; `switchyard connect` asks for them again");
    }
    tracing::info!(
        directory = %own.display(),
        owner = %holder.file.display(),
        "the default state directory belongs to another configuration file; `state_dir` chooses one"
    );
    config.state_dir = own;
}

fn copy_grants(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (from.join("oauth"), to.join("oauth"));
    DirBuilder::new().recursive(true).mode(0o700).create(&to)?;
    for entry in fs::read_dir(from).into_iter().flatten() {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            let held = fs::read(&path)?;
            files::replace(&to.join(name), |file| file.write_all(&held))?;
        }
    }
    Ok(())
}

fn sweep(state_dir: &Path, is_alone: bool) {
    for directory in [state_dir, &state_dir.join("oauth")] {
        files::sweep(directory, is_alone);
    }
}

/// By what a configuration file is known: links in its directory's path are followed, one in its own place is not,
/// because a mounted ConfigMap leads elsewhere after each change.
fn identity(file: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let directory = file.parent().and_then(|parent| parent.canonicalize().ok());
    match (directory, file.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => file,
    }
}

fn suggestion(file: &Path) -> String {
    format!(".switchyard-{}", file.file_stem().unwrap_or_default().to_string_lossy())
}

async fn claim(directory: &Path, file: &Path) -> io::Result<Claim> {
    fs::create_dir_all(directory)?;
    let lock = open(&directory.join(OWNER))?;
    for _ in 0..LOOKS {
        let is_alone = match lock.try_lock() {
            Ok(()) => {
                write(&lock, file)?;
                true
            }
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        // Of one that was held alone, this makes a shared one.
        match lock.try_lock_shared() {
            Ok(()) => return shared(directory, lock, file, is_alone),
            Err(TryLockError::WouldBlock) => sleep(BETWEEN_LOOKS).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("its lock is held"))
}

/// With the lock shared, nobody can change whose the directory is.
fn shared(directory: &Path, lock: File, file: &Path, is_alone: bool) -> io::Result<Claim> {
    match read(&lock)? {
        Some(holder) if !holder.is(file) => Ok(Claim::Taken(holder)),
        _ => {
            // The path stays, so whoever reads meanwhile sees one process or the other.
            write(&lock, file)?;
            let serving = open(&directory.join(SERVING))?;
            Ok(Claim::Ours(Locks { _owner: lock, serving }, is_alone))
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    files::private().read(true).write(true).create(true).truncate(false).open(path)
}

/// Names this process and its configuration file.
fn write(lock: &File, file: &Path) -> io::Result<()> {
    let mut line = format!("{:>10} ", std::process::id()).into_bytes();
    line.extend_from_slice(file.as_os_str().as_bytes());
    line.push(b'\n');
    lock.write_all_at(&line, 0)?;
    lock.set_len(line.len() as u64)
}

fn read(mut lock: &File) -> io::Result<Option<Holder>> {
    let mut line = Vec::new();
    lock.rewind()?;
    lock.read_to_end(&mut line)?;
    Ok(Holder::parse(&line))
}

/// The last one that claimed this directory.
fn owner(state_dir: &Path) -> Option<Holder> {
    Holder::parse(&fs::read(state_dir.join(OWNER)).ok()?)
}

impl Holder {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?.trim_ascii_start();
        let end = memchr::memchr(b' ', line)?;
        let (pid, file) = (line.get(..end)?, line.get(end + 1..)?);
        let pid = std::str::from_utf8(pid).ok().and_then(|pid| pid.parse().ok());
        Some(Self { pid, file: PathBuf::from(OsStr::from_bytes(file)) })
    }

    /// Whether its configuration file is this one, by whatever name.
    fn is(&self, file: &Path) -> bool {
        let same = || Some(self.file.canonicalize().ok()? == file.canonicalize().ok()?);
        self.file == file || same().unwrap_or(false)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid.and_then(Pid::from_raw).filter(|pid| test_kill_process(*pid).is_ok()) {
            Some(pid) => write!(f, "process {} with {}", pid.as_raw_nonzero(), self.file.display()),
            // In another container, or a process that has ended and left one that shared its claim.
            None => write!(f, "another process with {}", self.file.display()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::load;

    /// A configuration file with this text in `directory`.
    fn config(directory: &Path, name: &str, text: &str) -> Config {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        load(&path).unwrap()
    }

    const NAMED: &str = "state_dir: state\nbackends: {}\n";

    #[tokio::test]
    async fn a_directory_that_a_file_names_is_for_that_file_only_while_it_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let mut one = config(directory.path(), "one.yaml", NAMED);
        let mut other = config(directory.path(), "other.yaml", NAMED);
        let (first, second) =
            (StateDir::claim(&mut one).await.unwrap(), StateDir::claim(&mut one).await.unwrap());
        let refused = StateDir::claim(&mut other).await.unwrap_err().to_string();
        let holder = format!("process {} with {}", std::process::id(), identity(&one.path).display());
        assert!(refused.contains(&holder) && refused.contains("`state_dir: .switchyard-other`"), "{refused}");
        drop(first);
        assert!(StateDir::claim(&mut other).await.is_err(), "the second one is still there");
        drop(second);
        StateDir::claim(&mut other).await.unwrap();
    }

    #[tokio::test]
    async fn the_default_directory_stays_with_the_first_file_and_another_gets_its_own_with_a_copy_of_the_grants()
     {
        let directory = tempfile::tempdir().unwrap();
        let mut one = config(directory.path(), "one.yaml", "backends: {}\n");
        let common = directory.path().join(".switchyard");
        fs::create_dir_all(common.join("oauth")).unwrap();
        fs::write(common.join("oauth").join("a.shared"), "sealed").unwrap();
        drop(StateDir::claim(&mut one).await.unwrap());
        assert_eq!(one.state_dir, common);

        let mut other = config(directory.path(), "other.yaml", "backends: {}\n");
        let claimed = StateDir::claim(&mut other).await.unwrap();
        let own = common.join("other.yaml.d");
        assert_eq!((other.state_dir.as_path(), claimed.path()), (own.as_path(), own.as_path()));
        assert_eq!(fs::read_to_string(own.join("oauth").join("a.shared")).unwrap(), "sealed");
        assert_eq!(load(&other.path).unwrap().state_dir, own, "every command finds it from now on");
        assert_eq!(load(&one.path).unwrap().state_dir, common);

        fs::rename(directory.path().join("one.yaml"), directory.path().join("renamed.yaml")).unwrap();
        let mut renamed = load(&directory.path().join("renamed.yaml")).unwrap();
        StateDir::claim(&mut renamed).await.unwrap();
        assert_eq!(renamed.state_dir, common, "the file that it belonged to is gone");
    }

    #[tokio::test]
    async fn a_file_is_known_by_its_directory_and_not_by_where_its_own_link_leads() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("mounted")).unwrap();
        fs::write(at("v1"), NAMED).unwrap();
        fs::write(at("v2"), NAMED).unwrap();
        std::os::unix::fs::symlink(at("v1"), at("mounted/gateway.yaml")).unwrap();
        std::os::unix::fs::symlink(at("mounted"), at("elsewhere")).unwrap();
        let mut first = load(&at("mounted/gateway.yaml")).unwrap();
        let _held = StateDir::claim(&mut first).await.unwrap();
        fs::remove_file(at("mounted/gateway.yaml")).unwrap();
        std::os::unix::fs::symlink(at("v2"), at("mounted/gateway.yaml")).unwrap();
        StateDir::claim(&mut load(&at("elsewhere/gateway.yaml")).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_serves_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path(), "one.yaml", NAMED);
        let (old, new) =
            (StateDir::claim(&mut config).await.unwrap(), StateDir::claim(&mut config).await.unwrap());
        assert!(new.vacated(Duration::ZERO).await);
        old.serve().await;
        assert!(new.is_served() && !new.vacated(Duration::ZERO).await);
        let waiting = tokio::spawn(async move { new.vacated(Duration::from_secs(60)).await });
        drop(old);
        assert!(waiting.await.unwrap());
    }
}
