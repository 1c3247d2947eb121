//! The program under test, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::process::signal;

/// For the gateway to say where it listens, or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of its log that are kept to explain a failure.
const LOG_LINES: usize = 2_000;

/// What becomes of its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogReader {
    /// It is read.
    Reads,
    /// It is held open and not read.
    Stalled,
    /// It is closed.
    Gone,
}

/// `switchyard serve`, killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Of the endpoint for clients.
    pub(crate) url: String,
    operators: String,
    reader: watch::Sender<LogReader>,
    http: reqwest::Client,
}

impl Gateway {
    /// Starts it on the `gateway.yaml` in `directory`; returns once it said where it listens.
    pub(crate) async fn start(binary: &Path, directory: &Path) -> Self {
        Self::launch(Command::new(absolute(binary)).arg("serve"), directory).await
    }

    /// The same, in the place of the one that runs there, which ends by itself.
    pub(crate) async fn take_over(binary: &Path, directory: &Path) -> Self {
        Self::launch(Command::new(absolute(binary)).args(["serve", "--take-over"]), directory).await
    }

    /// Starts one that may have no more than `descriptors` files open.
    pub(crate) async fn start_confined(binary: &Path, directory: &Path, descriptors: u32) -> Self {
        let script = format!("ulimit -n {descriptors}; exec \"$0\" serve");
        Self::launch(Command::new("sh").args(["-c", &script]).arg(absolute(binary)), directory).await
    }

    async fn launch(command: &mut Command, directory: &Path) -> Self {
        command.current_dir(directory).kill_on_drop(true).stdin(Stdio::null());
        command.env_remove("SWITCHYARD_CONFIG").env_remove("RUST_LOG").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::default();
        let (reader, told) = watch::channel(LogReader::Reads);
        tokio::spawn(keep(child.stderr.take().unwrap(), Arc::clone(&log), told));
        let url = said(&log, "endpoint").await;
        let operators = said(&log, "status").await.trim_end_matches("/status").to_owned();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { child, log, url, operators, reader, http }
    }

    /// Has its standard error read no longer.
    pub(crate) fn read_log(&self, reader: LogReader) {
        self.reader.send_replace(reader);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the gateway has ended")
    }

    /// Whether it still is the process that was started.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `/status`.
    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&self.get("status").await).unwrap_or_default()
    }

    /// One page of the operators' endpoint; empty if there is none.
    pub(crate) async fn get(&self, page: &str) -> String {
        let response = self.http.get(format!("{}/{page}", self.operators)).send().await;
        match response {
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("metrics").await;
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until every backend is ready and its circuit closed; the ones that are not, if that takes too long.
    pub(crate) async fn all_well(&self, limit: Duration) -> Result<(), String> {
        let until = Instant::now() + limit;
        loop {
            let status = self.status().await;
            let ill: Vec<_> =
                status["backends"].as_array().into_iter().flatten().filter(|one| !is_well(one)).collect();
            if ill.is_empty() && status["backends"].is_array() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(ill.iter().map(|one| one.to_string()).collect::<Vec<_>>().join("\n"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn terminate(&mut self) -> Option<ExitStatus> {
        signal(self.pid(), Signal::TERM);
        self.ended().await
    }

    /// How it ended, once it has; none if it does not.
    pub(crate) async fn ended(&mut self) -> Option<ExitStatus> {
        timeout(PATIENCE, self.child.wait()).await.ok()?.ok()
    }

    /// Lines of its log that contain `words`.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.log.lock().iter().filter(|line| line.contains(words)).count()
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        let lines = self.log.lock();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// It is started in another directory.
pub(crate) fn absolute(binary: &Path) -> PathBuf {
    std::path::absolute(binary).unwrap()
}

fn is_well(backend: &Value) -> bool {
    backend["state"] == "ready" && backend["breaker"] == "closed"
}

async fn said(log: &Mutex<Vec<String>>, word: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let found =
            log.lock().iter().find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned());
        if let Some(found) = found {
            return found;
        }
        assert!(Instant::now() < until, "the gateway never said `{word}`:\n{}", log.lock().join("\n"));
        sleep(Duration::from_millis(20)).await;
    }
}

async fn keep(
    stderr: impl AsyncRead + Unpin,
    log: Arc<Mutex<Vec<String>>>,
    mut told: watch::Receiver<LogReader>,
) {
    let mut lines = BufReader::new(stderr).lines();
    loop {
        let reader = *told.borrow_and_update();
        let line = tokio::select! {
            line = lines.next_line(), if reader == LogReader::Reads => line,
            Ok(()) = told.changed(), if reader != LogReader::Gone => continue,
            else => return,
        };
        let Ok(Some(line)) = line else { return };
        let mut log = log.lock();
        if log.len() == LOG_LINES {
            log.drain(..LOG_LINES / 2);
        }
        log.push(line);
    }
}
