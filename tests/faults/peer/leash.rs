//! How does a child that the gateway launched hear what is wrong with it? It calls back on a socket.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::Ledger;
use crate::fault::Fault;
use crate::process::signal;

/// The control socket, and every child's leash by the name of its backend.
pub(crate) struct Leashes {
    pub(crate) socket: PathBuf,
    by_name: Arc<Mutex<HashMap<String, Arc<Leash>>>>,
}

impl Leashes {
    /// Listens in `directory`.
    pub(crate) fn new(directory: &Path) -> Self {
        let socket = directory.join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let by_name: Arc<Mutex<HashMap<String, Arc<Leash>>>> = Arc::default();
        let known = Arc::clone(&by_name);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hold(stream, Arc::clone(&known)));
            }
        });
        Self { socket, by_name }
    }

    pub(super) fn add(&self, name: &str, ledger: Arc<Ledger>) -> Arc<Leash> {
        let leash = Arc::new(Leash {
            fault: watch::Sender::new(Fault::None),
            pid: Mutex::new(None),
            starts: AtomicUsize::new(0),
            ledger,
        });
        self.by_name.lock().insert(name.to_owned(), Arc::clone(&leash));
        leash
    }
}

/// What the process of one backend is told.
pub(super) struct Leash {
    fault: watch::Sender<Fault>,
    pid: Mutex<Option<u32>>,
    /// Processes that called back so far.
    pub(super) starts: AtomicUsize,
    ledger: Arc<Ledger>,
}

impl Leash {
    pub(super) fn inject(&self, fault: Fault) {
        let pid = *self.pid.lock();
        match (fault, pid) {
            (Fault::Stop, Some(pid)) => signal(pid, Signal::STOP),
            (Fault::Kill, Some(pid)) => signal(pid, Signal::KILL),
            (Fault::None, Some(pid)) => signal(pid, Signal::CONT),
            _ => {}
        }
        // The two are done to the process from outside; the next process is well.
        self.fault.send_replace(if matches!(fault, Fault::Stop | Fault::Kill) { Fault::None } else { fault });
    }
}

/// One child, from its first word to its end: it names itself, is told its fault, and reports its calls.
async fn hold(stream: UnixStream, known: Arc<Mutex<HashMap<String, Arc<Leash>>>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let Ok(Some(hello)) = lines.next_line().await else { return };
    let Some((name, pid)) = hello.split_once(' ') else { return };
    let Some(leash) = known.lock().get(name).cloned() else { return };
    *leash.pid.lock() = pid.parse().ok();
    leash.starts.fetch_add(1, Ordering::SeqCst);
    let mut fault = leash.fault.subscribe();
    fault.mark_changed();
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => leash.ledger.ran(line.parse().unwrap_or_default()),
                _ => return,
            },
            Ok(()) = fault.changed() => {
                let told = format!("{}\n", *fault.borrow_and_update());
                if write.write_all(told.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}
