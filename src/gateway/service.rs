//! What is the service manager told, and when (systemd, `sd_notify(3)`)?
//!
//! That the gateway serves, that it reads its configuration again and what became of that, that it stops. Nobody waits
//! for an answer, and a word that cannot be said is dropped.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Whoever started this process, if it wants to be told.
#[derive(Debug, Clone, Default)]
pub(super) struct ServiceManager {
    address: Option<SocketAddr>,
}

impl ServiceManager {
    /// The one that `NOTIFY_SOCKET` names.
    pub(super) fn of_this_process() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET");
        name.filter(|name| !name.is_empty()).map(|name| Self::named(&name)).unwrap_or_default()
    }

    /// The one that listens on this socket.
    pub(super) fn named(socket: &OsStr) -> Self {
        let found = address(socket);
        let found = found.inspect_err(|error| tracing::warn!(%error, "the service manager cannot be told"));
        Self { address: found.ok() }
    }

    /// The gateway serves; `status` is for people.
    pub(super) fn ready(&self, status: &str) {
        self.tell(|| format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// The configuration is being read again, until [`Self::ready`].
    pub(super) fn reloading(&self) {
        self.tell(|| format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
    }

    /// The drain has begun.
    pub(super) fn stopping(&self) {
        self.tell(|| "STOPPING=1".to_owned());
    }

    fn tell(&self, words: impl FnOnce() -> String) {
        let Some(address) = &self.address else { return };
        if let Err(error) = send(address, words().as_bytes()) {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

fn send(address: &SocketAddr, words: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(words, address).map(drop)
}

/// A path, or a name that begins with `@` and is in no file system.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => unnamed(name),
        _ => SocketAddr::from_pathname(name),
    }
}

#[cfg(target_os = "linux")]
fn unnamed(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Microseconds of the clock by which the manager knows whether it asked before or after.
fn monotonic_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}
