//! What an operator can set about the side that clients talk to.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{budget, units};

/// The endpoint for clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port to listen on. Anything but loopback needs `clients:`.
    #[schemars(extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// Names accepted in `Host`, beside loopback and the address listened on.
    pub allowed_hosts: Vec<String>,
    /// Origins accepted from browsers, such as `https://app.example.com`; loopback origins are.
    pub allowed_origins: Vec<String>,
    /// Serve a bind that is not loopback without `clients:`. Anyone who reaches the port may call every tool.
    pub allow_anonymous: bool,
    /// Longest wait for calls in flight when stopping.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationOrZeroText")]
    pub drain: Duration,
    /// How long `/readyz` says that the gateway is about to stop while everything is still served: for those who
    /// send traffic to stop sending it. Not when a new process takes the sockets over.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationOrZeroText")]
    pub drain_lead: Duration,
    /// Bounds on what clients send.
    pub limits: LimitSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            allow_anonymous: false,
            drain: Duration::from_secs(30),
            drain_lead: Duration::ZERO,
            limits: LimitSettings::default(),
        }
    }
}

/// Bounds on what clients send and hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Largest request body, in bytes.
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub body_bytes: usize,
    /// For a request's body to arrive.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub body_timeout: Duration,
    /// For a request's headers to arrive.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub header_timeout: Duration,
    /// Connections at a time; never more than half of the file descriptors the process may have. Where there are as many,
    /// an idle one of the client that has most is closed for the next.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: usize,
    /// Bytes of large messages held at a time, of all clients and backends together: what has arrived of bodies of more
    /// than 64 KiB, until their call ends, and such answers until their client has them. Beyond it, an unfinished body of
    /// the client that holds most is refused with 503.
    #[schemars(range(min = 16_777_216, max = 1_099_511_627_776_u64))]
    pub buffered_bytes: usize,
    /// Sessions of clients that use `initialize`. Where there are as many, the client that has most loses the one it used
    /// longest ago to a client that has fewer; its own new ones only replace sessions that were unused for a minute.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub sessions: usize,
    /// A session unused for so long ends.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub session_idle: Duration,
    /// Interval of comments on a silent event stream, so that nothing between closes it.
    #[serde(with = "units::duration")]
    #[schemars(with = "units::DurationText")]
    pub keep_alive: Duration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            connections: 4096,
            buffered_bytes: budget::DEFAULT,
            sessions: 10_000,
            session_idle: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// The endpoint for operators: metrics, health, status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Whether to listen at all.
    pub enabled: bool,
    /// Address and port to listen on. It has no authentication: keep it off public networks.
    #[schemars(extend("format" = "socket-address"))]
    pub listen: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)) }
    }
}

/// Who may call: one entry of `clients:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// SHA-256 of the client's bearer token in lower-case hex, as `switchyard token new` prints it.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub token_sha256: String,
}
