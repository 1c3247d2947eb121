//! A gateway in this process, on a free port, over a configuration given as text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use switchyard::config;
use switchyard::gateway::{Gateway, Keep};
use switchyard::router::{BackendStatus, Router};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{eventually, within};

/// A running gateway; dropped, it drains in the background.
pub(crate) struct Yard {
    pub(crate) url: String,
    pub(crate) router: Arc<Router>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    _directory: Option<TempDir>,
}

impl Yard {
    /// A gateway in front of the backends whose entries are given, each ready or known to be down.
    pub(crate) async fn of(entries: &str) -> Self {
        Self::start(&format!("backends:\n{entries}")).await
    }

    /// A gateway with this configuration, each backend ready or known to be down.
    pub(crate) async fn start(yaml: &str) -> Self {
        let yard = Self::start_cold(yaml).await;
        for backend in yard.router.backends() {
            within("a first attempt", backend.first_attempt()).await;
        }
        yard.router.refresh();
        yard
    }

    /// The same, serving before any backend was reached.
    pub(crate) async fn start_cold(yaml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut yard = Self::start_in(directory.path(), yaml, Keep::Nothing).await;
        yard._directory = Some(directory);
        yard
    }

    /// A gateway whose files are in `directory`; waits for nothing.
    pub(crate) async fn start_in(directory: &Path, yaml: &str, keep: Keep) -> Self {
        let parsed = config::parse(&directory.join("gateway.yaml"), yaml, &|_| None);
        let config = parsed.unwrap_or_else(|problems| panic!("{problems}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let gateway = Gateway::start(config, keep).unwrap();
        let (router, shutdown) = (Arc::clone(gateway.router()), CancellationToken::new());
        let task = tokio::spawn(gateway.serve(listener, None, shutdown.clone()));
        Self { url, router, shutdown, task, _directory: None }
    }

    /// The address without a path.
    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches("/mcp")
    }

    /// How one backend is now.
    pub(crate) fn backend(&self, name: &str) -> BackendStatus {
        let status = self.router.status().backends.into_iter();
        status.into_iter().find(|backend| backend.snapshot.name == name).unwrap()
    }

    /// Waits until one backend is in `state`.
    pub(crate) async fn until(&self, name: &str, state: &str) {
        eventually(&format!("{name} is {state}"), async || {
            (self.backend(name).snapshot.state == state).then_some(())
        })
        .await;
    }

    /// Drains and ends everything.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        within("the end of the gateway", &mut self.task).await.unwrap();
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A port that refuses connections for as long as this is held.
pub(crate) struct RefusedPort {
    socket: TcpSocket,
}

impl RefusedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Bound and never listened on.
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { socket }
    }

    pub(crate) fn entry(&self, name: &str) -> String {
        format!("  {name}: {{ url: \"http://{}/mcp\" }}\n", self.socket.local_addr().unwrap())
    }
}

/// The program under test.
pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_switchyard")
}

/// The raw peer on standard input and output, which `cargo test` builds as an example.
pub(crate) fn raw_stdio() -> PathBuf {
    let directory = Path::new(binary()).parent().unwrap();
    let program = directory.join("examples").join("raw_stdio");
    assert!(program.exists(), "{} is missing: `cargo build --example raw_stdio` makes it", program.display());
    program
}

/// A line of configuration for [`raw_stdio`], in one of the two eras.
pub(crate) fn raw_stdio_entry(name: &str, era: &str, settings: &str) -> String {
    format!("  {name}: {{ command: \"{}\", args: [{era}], {settings} }}\n", raw_stdio().display())
}
