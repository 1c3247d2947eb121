//! `switchyard status`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;
use url::Url;

use crate::config;
use crate::printable::line;

use super::output::{print, print_json, table};

/// Longest wait for the gateway's answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print what `/status` has as JSON
    #[arg(long)]
    json: bool,
    /// Ask the operators' endpoint at this URL, such as http://127.0.0.1:8081
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

pub(super) async fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let url = match &options.url {
        Some(url) => url.join("/status")?,
        None => configured(file)?,
    };
    let status = ask(&url).await?;
    match options.json {
        true => print_json(&status)?,
        false => print(&render(&status))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the gateway with this configuration serves its operators.
fn configured(file: &Path) -> anyhow::Result<Url> {
    let admin = config::load(file)?.admin;
    if !admin.enabled {
        bail!("the operators' endpoint is off (`admin.enabled: false`): a gateway shows its status there");
    }
    if admin.listen.port() == 0 {
        bail!("`admin.listen` is any free port: give the one that the gateway named, with --url");
    }
    let address = reachable(admin.listen);
    Url::parse(&format!("http://{address}/status")).context("failed to name the gateway's URL")
}

/// An address such as 0.0.0.0 can be listened on, but not connected to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(url: &Url) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build()?;
    let nobody = || format!("no gateway shows its status at {url}: is it running, with this configuration?");
    let mut response =
        client.get(url.clone()).send().await.map_err(reqwest::Error::without_url).with_context(nobody)?;
    if !response.status().is_success() {
        bail!("what answers at {url} is no gateway: HTTP {}", response.status());
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        body.extend_from_slice(&part);
        if body.len() > MAX_ANSWER {
            bail!("what answers at {url} is no gateway: its answer is too large");
        }
    }
    serde_json::from_slice(&body).with_context(|| format!("what answers at {url} is no gateway"))
}

fn render(status: &Value) -> String {
    let (server, config) = (&status["server"], &status["config"]);
    let sessions = &server["sessions"];
    let mut text = format!(
        "Switchyard {}: {}, up {}, listening on {}\n",
        word(&server["version"]),
        word(&server["state"]),
        duration(&server["uptime_seconds"]),
        word(&server["listen"]),
    );
    text.push_str(&format!(
        "configuration {} of {}; sessions: {} http, {} sse\n\n",
        word(&config["generation"]),
        word(&config["file"]),
        word(&sessions["http"]),
        word(&sessions["sse"]),
    ));
    text.push_str(&backends(status));
    for key in list(&config["needs_restart"]) {
        text.push_str(&format!("\nin force at the next start only: {}", word(key)));
    }
    for problem in list(&config["refused"]["problems"]) {
        let (at, column) = (word(&problem["line"]), word(&problem["column"]));
        text.push_str(&format!("\nthe file is wrong: {at}:{column}: {}", word(&problem["message"])));
    }
    for warning in list(&status["warnings"]) {
        text.push_str(&format!("\nwarning: {}", word(warning)));
    }
    format!("{}\n", text.trim_end())
}

fn backends(status: &Value) -> String {
    let titles = ["backend", "transport", "state", "circuit", "in flight", "tools", "restarts", ""];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for backend in list(&status["backends"]) {
        rows.push(row(backend, word(&backend["name"])));
        for replica in list(&backend["replicas"]) {
            let name = word(&replica["name"]);
            let place = name.split_once('@').map_or(name.as_str(), |(_, place)| place);
            rows.push(row(replica, format!("  at {place}")));
        }
    }
    table(&rows)
}

fn row(backend: &Value, name: String) -> Vec<String> {
    let is_ready = backend["state"] == "ready";
    let mut remark = match backend.get("last_error").and_then(Value::as_str) {
        Some(error) if !is_ready => error.to_owned(),
        _ => String::new(),
    };
    if let Some(held) = backend.get("held").and_then(Value::as_str) {
        remark = held.to_owned();
    }
    if let Some(wait) = backend.get("retry_after_ms").and_then(Value::as_u64) {
        remark.push_str(&format!(" (next attempt in {})", seconds(wait / 1000)));
    }
    if backend["stale"] == true && !is_ready {
        remark.push_str(" (tools are those of the last connection)");
    }
    vec![
        name,
        word(&backend["transport"]),
        word(&backend["state"]),
        word(&backend["breaker"]),
        word(&backend["in_flight"]),
        backend.get("tools").map(word).unwrap_or_default(),
        word(&backend["restarts"]),
        remark.trim_start().to_owned(),
    ]
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A value as a person reads it.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => line(text).into_owned(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn duration(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), seconds)
}

fn seconds(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_reads_as_a_page() {
        let status = json!({
            "server": {"version": "1.0", "state": "serving", "uptime_seconds": 61, "listen": "127.0.0.1:1",
                       "sessions": {"http": 2, "sse": 0}},
            "config": {"generation": 3, "file": "/g.yaml", "needs_restart": ["admin"],
                       "refused": {"problems": [{"line": 2, "column": 4, "message": "no"}]}},
            "warnings": ["two\nlines"],
            "backends": [{"name": "crm", "transport": "http", "state": "down", "breaker": "closed", "in_flight": 0,
                          "tools": 3, "restarts": 1, "last_error": "gone", "retry_after_ms": 2500, "stale": true,
                          "replicas": [{"name": "crm@a/mcp", "transport": "http", "state": "ready",
                                        "breaker": "closed", "in_flight": 0, "restarts": 0}]}],
        });
        let page = render(&status);
        assert_eq!(
            page,
            "Switchyard 1.0: serving, up 1m 1s, listening on 127.0.0.1:1\n\
             configuration 3 of /g.yaml; sessions: 2 http, 0 sse\n\n  \
             backend     transport  state  circuit  in flight  tools  restarts\n  \
             crm         http       down   closed   0          3      1         gone (next attempt in 2s) (tools \
             are those of the last connection)\n    \
             at a/mcp  http       ready  closed   0                 0\n\n\
             in force at the next start only: admin\n\
             the file is wrong: 2:4: no\n\
             warning: two\\nlines\n"
        );
    }

    #[test]
    fn every_address_is_reached_by_one_that_can_be() {
        let reached = |text: &str| text.parse().ok().map(|address| reachable(address).to_string());
        assert_eq!(reached("0.0.0.0:1").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(reached("[::]:1").as_deref(), Some("[::1]:1"));
        assert_eq!(reached("10.0.0.7:1").as_deref(), Some("10.0.0.7:1"));
    }
}
