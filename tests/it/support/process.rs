//! The program under test as a process of its own.

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::gateway::binary;
use super::{eventually, within};

/// A command of the program that ends by itself.
pub(crate) async fn run(directory: &Path, arguments: &[&str]) -> Output {
    let output = command(directory, arguments).stdin(Stdio::null()).output();
    within("the end of a command", output).await.unwrap()
}

/// The program with these arguments, free of what the test's own environment says.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(directory).kill_on_drop(true);
    command.env_remove("SWITCHYARD_CONFIG").env_remove("SWITCHYARD_TOKEN").env_remove("RUST_LOG");
    command.env_remove("NOTIFY_SOCKET");
    command
}

/// `switchyard serve`, killed when dropped.
pub(crate) struct Serving {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Serving {
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::spawn(command(directory, arguments))
    }

    /// The same, started by a service manager that listens on this socket.
    pub(crate) fn managed(directory: &Path, socket: &Path) -> Self {
        let mut command = command(directory, &["serve"]);
        command.env("NOTIFY_SOCKET", socket);
        Self::spawn(command)
    }

    /// The same after a shell has run `limits`.
    pub(crate) fn limited(directory: &Path, limits: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits}; exec \"$0\" serve"), binary()]);
        command.current_dir(directory).kill_on_drop(true);
        command.env_remove("SWITCHYARD_CONFIG").env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::default();
        tokio::spawn(keep(child.stderr.take().unwrap(), Arc::clone(&lines)));
        Self { child, lines }
    }

    /// The same, passed a listening socket as systemd does it.
    pub(crate) fn activated(directory: &Path, socket: std::net::TcpListener) -> Self {
        let mut command = Command::new("sh");
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve";
        command.args(["-c", script, binary()]).current_dir(directory).kill_on_drop(true);
        command.env_remove("SWITCHYARD_CONFIG").env_remove("RUST_LOG");
        let stdin = Stdio::from(std::os::fd::OwnedFd::from(socket));
        let mut child = command.stdin(stdin).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::default();
        tokio::spawn(keep(child.stderr.take().unwrap(), Arc::clone(&lines)));
        Self { child, lines }
    }

    /// What follows `word` on its line of the start-up summary.
    pub(crate) async fn said(&self, word: &str) -> String {
        eventually(&format!("a line that begins with {word}"), async || {
            let lines = self.lines.lock();
            lines.iter().find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned())
        })
        .await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Everything it said so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().join("\n")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn terminate(&self) {
        signal(self.pid(), Signal::TERM);
    }

    /// Asks for the configuration to be read again.
    pub(crate) fn hang_up(&self) {
        signal(self.pid(), Signal::HUP);
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the end of the gateway", self.child.wait()).await.unwrap()
    }
}

async fn keep(stderr: impl AsyncRead + Unpin, lines: Arc<Mutex<Vec<String>>>) {
    let mut reader = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = reader.next_line().await {
        lines.lock().push(line);
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// The processes of a gateway's backends: its children but the guardian.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    all_children(parent).into_iter().filter(|pid| !is_guardian(*pid)).collect()
}

/// What would end a gateway's children if it were killed.
pub(crate) fn guardian(gateway: u32) -> Option<u32> {
    all_children(gateway).into_iter().find(|pid| is_guardian(*pid))
}

fn is_guardian(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .unwrap_or_default()
        .windows(7)
        .any(|word| word == b"\0guard\0")
}

/// As the kernel knows them.
fn all_children(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task"));
    let lists = tasks
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Whether a process exists and is no mere entry waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
