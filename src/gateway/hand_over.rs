//! How does a new process take over what this one listens on, so that no connection is refused?
//!
//! The sockets themselves are passed on, over a Unix socket beside the gateway's other files: both processes
//! then accept from one queue, and the old one stops once the new one says that it is ready. Two sockets on
//! one port (`SO_REUSEPORT`) would each have a queue, and what stands in the old one's when it closes is
//! reset.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Clients' and operators'.
const SOCKETS: usize = 2;
/// Sent by the old process with the sockets.
const HERE: u8 = b'h';
/// Sent by the new process once it can serve.
const READY: u8 = b'r';
/// How long a new process may take until it is ready; after that the old one stays.
const PATIENCE: Duration = Duration::from_secs(300);
/// Processes that are given the sockets at a time.
const VISITORS: usize = 4;
/// For the sockets to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// Where the processes meet.
fn meeting_point(state_dir: &Path) -> PathBuf {
    state_dir.join("hand-over.sock")
}

/// What a new process is given: the clients' socket first.
#[derive(Debug)]
pub struct Inherited {
    /// In the order they were sent.
    pub sockets: Vec<TcpListener>,
    before: UnixStream,
}

impl Inherited {
    /// Asks the process that serves with this `state_dir` for its sockets; `None` if there is none, or it has begun to
    /// drain. Blocks.
    ///
    /// # Errors
    /// There is one, and it does not answer as it should.
    pub fn from(state_dir: &Path) -> io::Result<Option<Self>> {
        let before = match UnixStream::connect(meeting_point(state_dir)) {
            Ok(before) => before,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        before.set_read_timeout(Some(ARRIVAL))?;
        before.set_write_timeout(Some(ARRIVAL))?;
        let sockets = match receive(&before) {
            Ok(sockets) => sockets,
            // It began to drain as this process came.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { sockets, before }))
    }

    /// Says that this process can serve: the other one accepts nothing more, and drains.
    ///
    /// # Errors
    /// It has ended meanwhile, which is as good.
    pub fn ready(mut self) -> io::Result<()> {
        self.before.write_all(&[READY])
    }
}

fn is_nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset)
}

fn receive(before: &UnixStream) -> io::Result<Vec<TcpListener>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut greeting = [0];
    let received = recvmsg(before, &mut [IoSliceMut::new(&mut greeting)], &mut control, RecvFlags::empty());
    let received = match received.map_err(io::Error::from) {
        Ok(received) if received.bytes == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if is_nobody(&error) => return Err(io::ErrorKind::UnexpectedEof.into()),
        received => received?,
    };
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            sockets.extend(rights);
        }
    }
    if received.bytes != 1 || greeting != [HERE] || sockets.is_empty() {
        return Err(io::Error::other("the running gateway does not hand its sockets over"));
    }
    sockets.into_iter().map(listener).collect()
}

fn listener(socket: OwnedFd) -> io::Result<TcpListener> {
    // Processes that are launched must not hold it.
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    let listener = TcpListener::from(socket);
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What this process can pass on.
pub(super) struct HandOver {
    door: UnixListener,
    sockets: Vec<OwnedFd>,
}

impl HandOver {
    /// Waits for a successor from now on; takes the place of whoever waited before.
    ///
    /// # Errors
    /// The directory cannot be written, or its path is too long for a socket.
    pub(super) fn new(state_dir: &Path, sockets: &[BorrowedFd<'_>]) -> io::Result<Self> {
        std::fs::create_dir_all(state_dir)?;
        let path = meeting_point(state_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let sockets = sockets.iter().map(BorrowedFd::try_clone_to_owned).collect::<Result<_, _>>()?;
        Ok(Self { door: UnixListener::bind(path)?, sockets })
    }

    /// Returns once a successor is ready. Dropped before, it keeps nothing open.
    pub(super) async fn done(self) {
        let (handing, mut visits) = (Arc::new(self), JoinSet::new());
        loop {
            tokio::select! {
                // One that hangs is in nobody's way.
                visitor = handing.door.accept(), if visits.len() < VISITORS => match visitor {
                    Ok((visitor, _)) => {
                        let handing = Arc::clone(&handing);
                        visits.spawn(async move { timeout(PATIENCE, handing.hand_to(visitor)).await });
                    }
                    Err(_) => tokio::time::sleep(ARRIVAL).await,
                },
                Some(visit) = visits.join_next() => match visit {
                    Ok(Ok(Ok(()))) => return,
                    Ok(Ok(Err(error))) => {
                        tracing::warn!(%error, "a successor took the sockets and did not get ready");
                    }
                    _ => tracing::warn!("a successor took the sockets and did not get ready in time"),
                },
            }
        }
    }

    async fn hand_to(&self, mut successor: tokio::net::UnixStream) -> io::Result<()> {
        let (theirs, ours) = (successor.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
        if theirs != ours && theirs != 0 {
            return Err(io::Error::other(format!("user {theirs} may not take over")));
        }
        successor.writable().await?;
        send(successor.as_fd(), &self.sockets)?;
        let mut word = [0];
        successor.read_exact(&mut word).await?;
        if word == [READY] { Ok(()) } else { Err(io::Error::other("it speaks another language")) }
    }
}

fn send(successor: BorrowedFd<'_>, sockets: &[OwnedFd]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    if !control.push(SendAncillaryMessage::ScmRights(&rights)) {
        return Err(io::Error::other("too many sockets to hand over"));
    }
    sendmsg(successor, &[IoSlice::new(&[HERE])], &mut control, SendFlags::empty())?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_successor_accepts_from_the_same_queue_and_the_old_one_stays_until_it_is_ready() {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = directory.path().to_owned();
        assert!(Inherited::from(&state_dir).unwrap().is_none(), "nobody is there yet");
        let old = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = old.local_addr().unwrap();
        let hand_over = HandOver::new(&state_dir, &[old.as_fd()]).unwrap();
        let done = tokio::spawn(hand_over.done());
        let inherit = || {
            let state_dir = state_dir.clone();
            tokio::task::spawn_blocking(move || Inherited::from(&state_dir).unwrap().unwrap())
        };

        let queued = TcpStream::connect(address).unwrap();
        drop(inherit().await.unwrap());
        let new = inherit().await.unwrap();
        assert!(!done.is_finished(), "the first one was never ready");
        drop(old);
        let socket = new.sockets[0].try_clone().unwrap();
        new.ready().unwrap();
        done.await.unwrap();
        let mut accepted = socket.accept().unwrap().0;
        accepted.set_nonblocking(false).unwrap();
        accepted.write_all(b"x").unwrap();
        let mut seen = [0];
        (&queued).read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"x");
    }
}
