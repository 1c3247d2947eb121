//! The program with a configuration of its own that a test changes while it runs.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Serving;
use super::{Client, eventually, within};

/// `switchyard serve` over a file in a directory of its own.
pub(crate) struct Program {
    pub(crate) directory: TempDir,
    pub(crate) serving: Serving,
    /// The endpoint for clients.
    pub(crate) url: String,
    status: String,
    metrics: String,
}

/// `backends` behind free ports.
pub(crate) fn with_free_ports(backends: &str) -> String {
    format!("server: {{ listen: 127.0.0.1:0 }}\nadmin: {{ listen: 127.0.0.1:0 }}\n{backends}")
}

impl Program {
    /// Serves a configuration that says nothing of addresses; waits for the start-up summary.
    pub(crate) async fn start(yaml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("gateway.yaml"), with_free_ports(yaml)).unwrap();
        Self::start_in(directory).await
    }

    /// Serves the `gateway.yaml` that is there.
    pub(crate) async fn start_in(directory: TempDir) -> Self {
        let serving = Serving::start(directory.path(), &["serve"]);
        Self::of(directory, serving).await
    }

    /// Ends it with SIGTERM and starts it again.
    pub(crate) async fn restart(mut self) -> Self {
        self.serving.terminate();
        assert_eq!(self.serving.ended().await.code(), Some(0), "{}", self.serving.log());
        Self::start_in(self.directory).await
    }

    /// Has a new process take over; the old one is returned too.
    pub(crate) async fn upgrade(self) -> (Self, Serving) {
        let serving = Serving::start(self.directory.path(), &["serve", "--take-over"]);
        (Self::of(self.directory, serving).await, self.serving)
    }

    pub(crate) async fn of(directory: TempDir, serving: Serving) -> Self {
        let url = serving.said("endpoint").await;
        let (status, metrics) = (serving.said("status").await, serving.said("metrics").await);
        Self { directory, serving, url, status, metrics }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("gateway.yaml")
    }

    /// Writes the file in place.
    pub(crate) fn write(&self, yaml: &str) {
        fs::write(self.file(), with_free_ports(yaml)).unwrap();
    }

    /// Puts another file in its place, as editors do.
    pub(crate) fn swap(&self, yaml: &str) {
        let new = self.directory.path().join("gateway.yaml.new");
        fs::write(&new, with_free_ports(yaml)).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&get(&self.status).await).unwrap()
    }

    /// What `/readyz` says, with its status.
    pub(crate) async fn ready(&self) -> (u16, String) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = self.status.replace("/status", "/readyz");
        let response = within(&url, http.get(&url).send()).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of one series; `None` if there is none.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let page = get(&self.metrics).await;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?.to_owned();
        line.parse().ok()
    }

    /// Waits until this configuration is in force.
    pub(crate) async fn generation(&self, number: u64) {
        eventually(&format!("generation {number}"), async || {
            (self.status().await["config"]["generation"] == number).then_some(())
        })
        .await;
    }

    /// Waits until the file is refused, and says where and why.
    pub(crate) async fn refusal(&self) -> Value {
        eventually("a refusal", async || {
            let refused = self.status().await["config"]["refused"].take();
            (!refused.is_null()).then(|| refused["problems"][0].clone())
        })
        .await
    }

    pub(crate) fn modern(&self) -> Client {
        Client::modern(&self.url)
    }
}

async fn get(url: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = within(url, http.get(url).send()).await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    response.text().await.unwrap()
}
