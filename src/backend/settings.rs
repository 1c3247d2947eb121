//! What an operator can set about reaching one backend.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

use crate::resilience::{BreakerSettings, ConcurrencySettings, RestartSettings, RetrySettings};
use crate::units;

use super::{ConnectionSettings, OAuthSettings, TlsSettings, ToolSettings};

/// One backend, fully resolved: defaults applied, references replaced, combinations checked.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// The key under `backends:`; identifies the backend in metrics, logs and errors.
    pub name: String,
    /// How the server is reached.
    pub transport: TransportSettings,
    /// Where the same server is served, if in several places; the transport's own URL is the first.
    pub replicas: Vec<Url>,
    /// Deadlines.
    pub timeouts: TimeoutSettings,
    /// When calls are refused.
    pub breaker: BreakerSettings,
    /// Calls at a time.
    pub concurrency: ConcurrencySettings,
    /// Waits between attempts to connect.
    pub restart: RestartSettings,
    /// Which calls share a connection.
    pub connections: ConnectionSettings,
    /// How many calls may be made a second time.
    pub retries: RetrySettings,
    /// What single tools have instead, by glob over the backend's own names.
    pub tools: BTreeMap<String, ToolSettings>,
}

impl TransportSettings {
    /// The endpoint, if it is not a pipe.
    pub fn remote(&self) -> Option<&RemoteSettings> {
        match self {
            Self::Stdio(_) => None,
            Self::Http { remote, .. } | Self::Sse { remote, .. } => Some(remote),
        }
    }
}

impl BackendSettings {
    /// A backend with every default.
    pub fn new(name: &str, transport: TransportSettings) -> Self {
        Self {
            name: name.to_owned(),
            transport,
            replicas: Vec::new(),
            timeouts: TimeoutSettings::default(),
            breaker: BreakerSettings::default(),
            concurrency: ConcurrencySettings::default(),
            restart: RestartSettings::default(),
            connections: ConnectionSettings::default(),
            retries: RetrySettings::default(),
            tools: BTreeMap::new(),
        }
    }

    /// Whether something that was begun at the replica `name` is at this server, which is in one place.
    pub(super) fn is_of(&self, name: Option<&str>) -> bool {
        let own = self.transport.remote().map(|remote| self.name_at(&remote.url));
        name.is_none() || own.as_deref() == name
    }

    fn name_at(&self, url: &Url) -> String {
        format!("{}@{}", self.name, &url[Position::BeforeHost..Position::AfterPath])
    }

    /// The settings of the replica at `url`, under a name of its own.
    pub(super) fn at(&self, url: &Url) -> Self {
        let mut settings = self.clone();
        settings.name = self.name_at(url);
        settings.replicas = Vec::new();
        settings.transport.set_url(url);
        settings
    }
}

/// The three ways to an MCP server.
#[derive(Debug, Clone)]
pub enum TransportSettings {
    /// A child process that speaks over its standard input and output.
    Stdio(ProcessSettings),
    /// Streamable HTTP; with `process`, that process is launched first and serves the URL.
    Http {
        /// Where.
        remote: RemoteSettings,
        /// The server to launch, when `command` is given together with `url`.
        process: Option<ProcessSettings>,
    },
    /// The HTTP+SSE transport of MCP 2024-11-05.
    Sse {
        /// Where.
        remote: RemoteSettings,
        /// The server to launch, when `command` is given together with `url`.
        process: Option<ProcessSettings>,
    },
}

impl TransportSettings {
    /// The same way to another place; a pipe leads to none.
    pub(super) fn set_url(&mut self, url: &Url) {
        match self {
            Self::Http { remote, .. } | Self::Sse { remote, .. } => remote.url = url.clone(),
            Self::Stdio(_) => {}
        }
    }
}

/// A child process.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// Program; the literal `switchyard` means the running executable.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Variables set on top of the gateway's own environment.
    pub env: BTreeMap<String, SecretString>,
    /// Working directory; the configuration file's directory unless set.
    pub cwd: PathBuf,
}

/// A remote endpoint.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// `http` or `https`.
    pub url: Url,
    /// Headers sent with every request, `Authorization` for example.
    pub headers: BTreeMap<String, SecretString>,
    /// How to get leave from an authorization server; `None` to take a refusal as it is.
    pub auth: Option<OAuthSettings>,
    /// Whom to trust, beside the system's authorities.
    pub tls: TlsSettings,
}

/// Deadlines of one backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// To connect, to be answered a handshake over HTTP, to fetch one page of a list.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub connect: Duration,
    /// For a child process to finish the handshake; `npx` may have to download its package first.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub start: Duration,
    /// For a call to be answered; every progress notification starts it anew.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub call: Duration,
    /// For a call whatever its progress.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub total: Duration,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            start: Duration::from_secs(60),
            call: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}
