//! What does a configuration file look like: the one source of its JSON Schema.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::backend::{ConnectionSettings, OAuthSettings, TimeoutSettings, TlsSettings, ToolSettings};
use crate::catalog::CatalogSettings;
use crate::resilience::{BreakerSettings, ConcurrencySettings, RestartSettings, RetrySettings};
use crate::server::{AdminSettings, ClientSettings, ServerSettings};
use crate::telemetry::LogSettings;

/// Configuration of Switchyard, an MCP gateway.
///
/// Any value may hold references, which are never shown: `${NAME}` (environment), `${NAME:-default}`,
/// `${file:/path}` (contents), and inside a backend `${free_port}` (a free loopback port, the same throughout that backend).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Switchyard configuration")]
pub(crate) struct File {
    /// The endpoint for clients.
    pub(crate) server: ServerSettings,
    /// The endpoint for operators: metrics, health, status.
    pub(crate) admin: AdminSettings,
    /// Logs, on standard error.
    pub(crate) log: LogSettings,
    /// The catalog as a whole.
    pub(crate) catalog: CatalogSettings,
    /// Who may call, by name. Without any, the gateway serves whoever reaches it and so listens on loopback only.
    pub(crate) clients: BTreeMap<String, ClientSettings>,
    /// What every backend has unless it says otherwise.
    pub(crate) defaults: DefaultsSection,
    /// The MCP servers, by name (letters, digits, `_` and `-`, at most 32). Entries of a `.mcp.json` can be pasted here.
    pub(crate) backends: BTreeMap<String, BackendSection>,
    /// Another spelling of `backends`, as `.mcp.json` has it. Give one of the two.
    #[serde(rename = "mcpServers")]
    #[schemars(with = "BTreeMap<String, BackendSection>")]
    mcp_servers: Option<serde::de::IgnoredAny>,
    /// Seal what clients keep for the gateway between requests. The first seals, all open: put a new one in
    /// front to rotate, and give replicas the same. Without any, the gateway makes one and keeps it in `state_dir`.
    pub(crate) sealing_keys: Vec<String>,
    /// Where the gateway keeps its files; relative to this file.
    #[schemars(extend("default" = ".switchyard"))]
    pub(crate) state_dir: Option<PathBuf>,
}

/// What every backend has unless it says otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DefaultsSection {
    /// Deadlines.
    timeouts: TimeoutSettings,
    /// When a backend's circuit opens, and for how long.
    breaker: BreakerSettings,
    /// How many calls one backend may have at a time.
    concurrency: ConcurrencySettings,
    /// How fast a lost backend is tried again.
    restart: RestartSettings,
    /// Which calls share a connection.
    connections: ConnectionSettings,
    /// How many calls may be made a second time.
    retries: RetrySettings,
    /// Check a call's arguments against the tool's schema before the backend sees them.
    validate_arguments: bool,
}

/// One MCP server: `command` to launch it, `url` to connect to it, or both to launch it and then connect over HTTP.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BackendSection {
    /// The transport; follows from `command` and `url` unless it is `sse`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<TransportKind>,
    /// Program to launch; `switchyard` means this very executable.
    pub(crate) command: Option<String>,
    /// Arguments of `command`.
    #[schemars(with = "Vec<Text>")]
    pub(crate) args: Vec<String>,
    /// Variables set for `command` on top of the gateway's own environment.
    #[schemars(with = "BTreeMap<String, Text>")]
    pub(crate) env: BTreeMap<String, String>,
    /// Directory to launch `command` in; relative to this file, whose directory is the default.
    pub(crate) cwd: Option<PathBuf>,
    /// Where the server listens: `http` or `https`.
    pub(crate) url: Option<String>,
    /// The same server in several places, in place of `url`: each call goes to one of them.
    pub(crate) urls: Vec<String>,
    /// Headers sent to `url` with every request.
    #[schemars(with = "BTreeMap<String, Text>")]
    pub(crate) headers: BTreeMap<String, String>,
    /// TLS towards `url`, where the system's own authorities do not fit.
    pub(crate) tls: TlsSettings,
    /// How to get leave from an authorization server (OAuth), where the defaults do not fit.
    pub(crate) auth: OAuthSettings,
    /// Leave this backend out.
    pub(crate) disabled: bool,
    /// Put in front of each name with `__` between; the backend's name unless set, empty for none.
    pub(crate) prefix: Option<String>,
    /// Globs over the backend's own names that clients see; all unless set.
    pub(crate) expose: Vec<String>,
    /// Globs over the backend's own names that clients do not see; wins over `expose`.
    pub(crate) hide: Vec<String>,
    /// The backend's own name → the name to show, still behind the prefix.
    pub(crate) rename: BTreeMap<String, String>,
    /// The backend's own tool name → the description to show.
    pub(crate) description: BTreeMap<String, String>,
    /// Check a call's arguments against the tool's schema before the backend sees them.
    pub(crate) validate_arguments: bool,
    /// Deadlines.
    pub(crate) timeouts: TimeoutSettings,
    /// When the circuit opens, and for how long.
    pub(crate) breaker: BreakerSettings,
    /// How many calls the backend may have at a time.
    pub(crate) concurrency: ConcurrencySettings,
    /// How fast the backend is tried again when lost.
    pub(crate) restart: RestartSettings,
    /// Which calls share a connection.
    pub(crate) connections: ConnectionSettings,
    /// How many calls may be made a second time.
    pub(crate) retries: RetrySettings,
    /// What single tools have instead, by glob over the backend's own names; the most exact one wins.
    pub(crate) tools: BTreeMap<String, ToolSettings>,
}

/// The transports, in every spelling that clients' own files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum TransportKind {
    #[serde(rename = "stdio")]
    Stdio,
    #[serde(rename = "http")]
    Http,
    #[serde(rename = "streamable-http")]
    StreamableHttp,
    #[serde(rename = "streamable_http")]
    StreamableHttpSnake,
    #[serde(rename = "streamableHttp")]
    StreamableHttpCamel,
    #[serde(rename = "sse")]
    Sse,
}

/// Text that may be written without quotes even when it looks like a number.
struct Text;

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
