//! The start-up summary: what runs, and how clients connect to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::router::{BackendStatus, Router};
use crate::telemetry::LogFormat;

use super::output::{Progress, say, say_json, table};

/// What the summary says beside the backends.
pub(super) struct About {
    endpoint: String,
    operators: Option<SocketAddr>,
    needs_token: bool,
    config: PathBuf,
    format: LogFormat,
}

impl About {
    pub(super) fn of(gateway: &Gateway, address: SocketAddr, operators: Option<&TcpListener>) -> Self {
        let config = gateway.config();
        Self {
            endpoint: endpoint(address, &config.server.allowed_hosts),
            operators: operators.and_then(|listener| listener.local_addr().ok()),
            needs_token: !config.clients.is_empty(),
            config: std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone()),
            format: config.log.format,
        }
    }
}

/// The URL to give to clients: an address such as 0.0.0.0 can be listened on, but not connected to.
fn endpoint(address: SocketAddr, names: &[String]) -> String {
    let port = address.port();
    match names.first() {
        _ if !address.ip().is_unspecified() => format!("http://{address}/mcp"),
        Some(name) if name.contains(':') => format!("http://{name}/mcp"),
        Some(name) => format!("http://{name}:{port}/mcp"),
        None => format!("http://127.0.0.1:{port}/mcp"),
    }
}

/// Shows the summary once every backend was tried, or after `patience`.
pub(super) async fn show(router: Arc<Router>, about: About, patience: Duration) {
    let progress = match about.format {
        LogFormat::Text => Progress::new(),
        LogFormat::Json => Progress::silent(),
    };
    let backends = router.backends();
    let _ = timeout(patience, async {
        for (done, backend) in backends.iter().enumerate() {
            progress.show(&format!("starting backends … {done} of {} ({})", backends.len(), backend.name()));
            backend.first_attempt().await;
        }
    })
    .await;
    progress.clear();
    router.refresh();
    let backends = router.status().backends;
    match about.format {
        LogFormat::Text => say(&text(&backends, &about)),
        LogFormat::Json => say_json("INFO", "serving", members(&backends, &about)),
    }
}

/// The same for programs, without what people are to copy.
fn members(backends: &[BackendStatus], about: &About) -> Map<String, Value> {
    let backend = |one: &BackendStatus| {
        let snapshot = &one.snapshot;
        json!({
            "name": snapshot.name,
            "transport": snapshot.transport,
            "state": snapshot.state,
            "tools": one.tools,
            "reason": reason(one),
        })
    };
    let page = |page: &str| about.operators.map(|address| format!("http://{address}/{page}"));
    let members = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "endpoint": about.endpoint,
        "metrics": page("metrics"),
        "status": page("status"),
        "backends": backends.iter().map(backend).collect::<Vec<_>>(),
    });
    members.as_object().cloned().unwrap_or_default()
}

fn text(backends: &[BackendStatus], about: &About) -> String {
    let rows: Vec<_> = backends.iter().map(row).collect();
    let operators = about.operators.map_or_else(String::new, |address| {
        format!("\nmetrics   http://{address}/metrics\nstatus    http://{address}/status")
    });
    format!(
        "\nSwitchyard {version}\n\n{rows}\nendpoint  {endpoint}{operators}\n\n\
         Claude Code:\n\n  {claude_code}\n\n\
         Claude Desktop, in claude_desktop_config.json:\n\n{claude_desktop}\n",
        version = env!("CARGO_PKG_VERSION"),
        rows = table(&rows),
        endpoint = about.endpoint,
        claude_code = claude_code(about),
        claude_desktop = claude_desktop(about),
    )
}

fn row(backend: &BackendStatus) -> Vec<String> {
    let snapshot = &backend.snapshot;
    let stale = if backend.stale && backend.tools > 0 { " (kept from the last run)" } else { "" };
    vec![
        snapshot.name.clone(),
        snapshot.transport.to_owned(),
        snapshot.state.to_owned(),
        format!("{} tools{stale}", backend.tools),
        reason(backend).unwrap_or_default(),
    ]
}

/// Why a backend is down.
fn reason(backend: &BackendStatus) -> Option<String> {
    let snapshot = &backend.snapshot;
    let said = snapshot.said.as_ref().map(|line| format!(" (it said: {line})")).unwrap_or_default();
    let reason = snapshot.last_error.as_deref().unwrap_or_default();
    (snapshot.state == "down").then(|| format!("{reason}{said}"))
}

fn claude_code(about: &About) -> String {
    let token = if about.needs_token { " --header \"Authorization: Bearer YOUR_TOKEN\"" } else { "" };
    format!("claude mcp add --transport http switchyard {}{token}", about.endpoint)
}

fn claude_desktop(about: &About) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("switchyard"));
    let block = json!({
        "mcpServers": {
            "switchyard": {
                "command": program,
                "args": ["serve", "--stdio", "--config", about.config],
            }
        }
    });
    format!("{block:#}").lines().map(|line| format!("  {line}\n")).collect()
}
