//! A child process that cannot leak: its own process group, a mark on all that it starts, a stop sequence,
//! a bounded tail of its standard error. What ends it when the gateway cannot is the [guardian](super::guardian).

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::launch::{Own, launch};
use super::marks::{Mark, VARIABLE};
use super::{ProcessSettings, groups, program};
use crate::telemetry::LogLimit;

/// How long each step of the stop sequence waits for the next.
const STOP_STEP: Duration = Duration::from_secs(3);
/// The first of them for a child that is lost already: its output ended, or nobody can read it any more.
const LOST_STEP: Duration = Duration::from_millis(100);
/// Lines of standard error that are kept, and the length each is cut to.
const TAIL_LINES: usize = 40;
const TAIL_LINE_BYTES: usize = 400;

const STDERR_LINES: LogLimit = LogLimit::new("standard error of a backend", 1_000);

/// Variables a child inherits; everything else, other backends' secrets above all, it must be given.
const INHERITED: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "TZ",
    "TMPDIR",
    "NODE_PATH",
    "NVM_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "VIRTUAL_ENV",
];

/// The last lines a child wrote to standard error.
pub(super) type StderrTail = Arc<Mutex<VecDeque<String>>>;

/// A running child.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    _own: Own,
    /// Of the group the child leads; kept after the child itself is reaped, for its own children.
    group: Option<Pid>,
    /// Of all that it starts; none once nothing with it is left.
    mark: Option<Mark>,
    /// Held open for a server that is reached otherwise: its end tells the server that it is alone.
    stdin: Option<ChildStdin>,
}

/// The ends of a child that speaks over its standard streams.
pub(super) struct Pipes {
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
}

impl Child {
    /// Starts `settings.command`; its standard error is read into `tail` and the log.
    ///
    /// # Errors
    /// What the system said, with the command's name.
    pub(super) fn spawn(
        settings: &ProcessSettings,
        backend: &str,
        tail: &StderrTail,
    ) -> io::Result<(Self, Option<Pipes>)> {
        let mark = Mark::draw();
        let (mut process, own) =
            launch(&mut command(settings, &mark)?).map_err(|error| program::describe(settings, &error))?;
        if let Some(stderr) = process.stderr.take() {
            tokio::spawn(read_stderr(stderr, backend.to_owned(), Arc::clone(tail)));
        }
        let pipes = match (process.stdin.take(), process.stdout.take()) {
            (Some(stdin), Some(stdout)) => Some(Pipes { stdin, stdout }),
            _ => None,
        };
        let group = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        group.into_iter().for_each(groups::enter);
        Ok((Self { process, _own: own, group, mark: Some(mark), stdin: None }, pipes))
    }

    /// Holds the child's standard input open until the child is stopped.
    pub(super) fn keep_stdin(&mut self, stdin: Option<ChildStdin>) {
        self.stdin = stdin;
    }

    /// Whether it speaks over its own standard streams.
    pub(super) fn speaks_itself(&self) -> bool {
        self.stdin.is_none()
    }

    /// Waits until the child itself has ended. Cancel-safe.
    pub(super) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => describe_exit(status),
            Err(error) => format!("the process cannot be waited for: {error}"),
        }
    }

    /// Stops the child and all it started: the caller has closed its standard input; after 3 s comes
    /// SIGTERM, after 3 s more SIGKILL, each to the whole group. What left the group is killed at the end.
    pub(super) async fn stop(self) {
        self.stop_after(STOP_STEP).await;
    }

    /// The same for a child that said its last word before it was stopped: the next one waits for its end, so
    /// SIGTERM comes after 0.1 s. A server that means to end closes its output and exits
    /// (MCP 2025-11-25, basic/lifecycle, shutdown).
    pub(super) async fn stop_lost(self) {
        self.stop_after(LOST_STEP).await;
    }

    async fn stop_after(mut self, patience: Duration) {
        drop(self.stdin.take());
        for (patience, signal) in [(patience, Signal::TERM), (STOP_STEP, Signal::KILL)] {
            if tokio::time::timeout(patience, self.process.wait()).await.is_ok() {
                break;
            }
            self.signal(signal);
        }
        let _ = self.process.wait().await;
        self.signal(Signal::KILL);
        if let Some(mark) = self.mark.clone() {
            let _ = tokio::task::spawn_blocking(move || mark.kill()).await;
            self.mark = None;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    /// Whatever is left of the group ends here, synchronously: at shutdown no task runs any more.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.group.into_iter().for_each(groups::leave);
        let Some(mark) = self.mark.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || mark.kill())),
            Err(_) => {
                mark.kill();
            }
        }
    }
}

fn command(settings: &ProcessSettings, mark: &Mark) -> io::Result<Command> {
    let program = match settings.command.as_str() {
        "switchyard" => std::env::current_exe()?,
        other => other.into(),
    };
    let mut command = Command::new(program);
    command
        .args(&settings.args)
        .current_dir(&settings.cwd)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| is_inherited(&name.to_string_lossy())))
        .envs(settings.env.iter().map(|(name, value)| (name, value.expose_secret())))
        .env(VARIABLE, mark.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

fn is_inherited(name: &str) -> bool {
    name.starts_with("LC_") || INHERITED.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn describe_exit(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("the process exited with code {code}"),
        None => format!("the process was ended by a signal ({status})"),
    }
}

/// Keeps the last lines, cut to a bounded length; lines without end are cut, not collected.
async fn read_stderr(mut stderr: impl AsyncRead + Unpin, backend: String, tail: StderrTail) {
    let mut chunk = [0u8; 4096];
    let mut line = Vec::new();
    while let Ok(length) = stderr.read(&mut chunk).await {
        if length == 0 {
            break;
        }
        for byte in &chunk[..length] {
            match byte {
                b'\n' => keep_line(&backend, &tail, std::mem::take(&mut line)),
                _ if line.len() < TAIL_LINE_BYTES => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        keep_line(&backend, &tail, line);
    }
}

fn keep_line(backend: &str, tail: &StderrTail, line: Vec<u8>) {
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    if tracing::enabled!(tracing::Level::DEBUG) && STDERR_LINES.admits(backend) {
        tracing::debug!(backend, line, "backend wrote to standard error");
    }
    let mut tail = tail.lock();
    if tail.len() == TAIL_LINES {
        tail.pop_front();
    }
    tail.push_back(line);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_said_its_last_word_is_not_waited_for_before_it_is_told_to_end() {
        let stubborn = "trap '' TERM; echo; exec 1>&-; sleep 600";
        let settings = ProcessSettings {
            command: "sh".to_owned(),
            args: vec!["-c".to_owned(), stubborn.to_owned()],
            env: std::collections::BTreeMap::new(),
            cwd: ".".into(),
        };
        let (child, pipes) = Child::spawn(&settings, "test", &StderrTail::default()).unwrap();
        let Pipes { stdin, mut stdout } = pipes.unwrap();
        stdout.read_to_end(&mut Vec::new()).await.unwrap();
        drop(stdin);
        let start = tokio::time::Instant::now();
        child.stop_lost().await;
        let took = start.elapsed();
        assert!((LOST_STEP + STOP_STEP..2 * STOP_STEP).contains(&took), "{took:?}");
    }
}
