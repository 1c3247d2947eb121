//! How does a command reach tools: through the gateway that runs already, or through backends started for
//! the one command?

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::backend::{BackendSettings, RemoteSettings, State, TlsSettings, TransportSettings};
use crate::catalog::ExposureSettings;
use crate::config::{self, BackendConfig, Config};
use crate::gateway::{Gateway, Keep, guard_backends};
use crate::protocol::{RawJson, Revision};
use crate::router::{Caller, Principal, RequestId};
use crate::telemetry;

use super::output::{Progress, say};

/// Longest wait for backends that are started for one command.
const START: Duration = Duration::from_secs(60);
/// Longest call through a gateway that runs.
const LONGEST_CALL: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// Ask the gateway at this URL, such as http://127.0.0.1:8080/mcp
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Bearer token for a gateway with `clients:`
    #[arg(long, value_name = "TOKEN", env = "SWITCHYARD_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
}

/// A gateway to ask, ours or a running one's mirror.
pub(super) async fn reach(file: &Path, target: &Target) -> anyhow::Result<Gateway> {
    if let Some(url) = &target.url {
        let gateway = mirror(Config::empty(file), url, target.token.as_ref()).await?;
        if let Some(reason) = down(&gateway) {
            bail!("no gateway to ask at {url}: {reason}");
        }
        return Ok(gateway);
    }
    let config = config::load(file)?;
    let url = Url::parse(&format!("http://{}/mcp", config.server.listen))
        .context("failed to name the gateway's URL")?;
    let running = mirror(Config::empty(file), &url, target.token.as_ref()).await?;
    match down(&running) {
        None => return Ok(running),
        Some(reason) if reason.contains("HTTP") && !reason.contains("credentials") => {
            bail!("what answers at {url} is no MCP gateway: {reason}")
        }
        Some(reason) if reason.contains("HTTP") => {
            bail!(
                "the gateway at {url} does not let us in: give one of its clients' tokens with --token or SWITCHYARD_TOKEN"
            )
        }
        Some(_nobody_listens) => running.stop().await,
    }
    say(&format!("no gateway at {url}; starting the backends for this command"));
    start(config, START, "starting backends …").await
}

/// Reaches the backends of `config` for one command; returns once each was tried, after `limit` at the latest.
/// `saying` is shown meanwhile.
pub(super) async fn start(config: Config, limit: Duration, saying: &str) -> anyhow::Result<Gateway> {
    telemetry::init(&telemetry::LogSettings { level: telemetry::LogLevel::Error, ..config.log.clone() })?;
    guard_backends();
    let gateway = Gateway::start(config, Keep::Nothing)?;
    let progress = Progress::new();
    progress.show(saying);
    gateway.first_attempts(limit).await;
    progress.clear();
    Ok(gateway)
}

/// A gateway whose only backend is another gateway, shown under its own names.
async fn mirror(mut config: Config, url: &Url, token: Option<&SecretString>) -> anyhow::Result<Gateway> {
    let headers = token.map(|token| {
        let value = SecretString::from(format!("Bearer {}", token.expose_secret()));
        BTreeMap::from([("Authorization".to_owned(), value)])
    });
    let remote = RemoteSettings {
        url: url.clone(),
        headers: headers.unwrap_or_default(),
        auth: None,
        tls: TlsSettings::default(),
    };
    let name = "gateway";
    let mut settings = BackendSettings::new(name, TransportSettings::Http { remote, process: None });
    // The gateway that is asked knows how long a call may take.
    (settings.timeouts.call, settings.timeouts.total) = (LONGEST_CALL, LONGEST_CALL);
    config.backends = vec![BackendConfig {
        settings,
        exposure: ExposureSettings { backend: name.to_owned(), ..ExposureSettings::default() },
        identity: String::new(),
        revision: String::new(),
    }];
    let gateway = Gateway::start(config, Keep::Nothing)?;
    gateway.first_attempts(START).await;
    Ok(gateway)
}

fn down(gateway: &Gateway) -> Option<String> {
    gateway.router().backends().iter().find_map(|backend| match backend.state() {
        State::Down { reason, .. } => Some(reason),
        _ => None,
    })
}

/// The caller that a person at a terminal is.
pub(super) fn caller() -> Caller {
    Caller {
        principal: Principal::anonymous(),
        request_id: RequestId::new(0),
        revision: Revision::LATEST,
        capabilities: RawJson::empty_object(),
        client_info: None,
        session: None,
        log_level: None,
        asked_level: None,
        progress_token: None,
        trace: None,
    }
}
