//! What can go wrong with a backend?

use std::fmt;
use std::str::FromStr;

/// One way to be sick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// Well.
    None,
    /// Connections are refused; a child ends as soon as it starts.
    Refuse,
    /// Requests are taken and never answered.
    Blackhole,
    /// Answers come one byte at a time.
    Drip,
    /// The sending side is closed, the connection stays; a child closes its output and lives on.
    HalfClose,
    /// The connection is reset once the request has arrived.
    Reset,
    /// Bytes that are no message.
    Garbage,
    /// A message that does not end.
    HugeFrame,
    /// A list whose every page names another one.
    EndlessCursor,
    /// Sessions are forgotten all the time.
    LostSession,
    /// The connection or the process ends in the middle of an answer.
    Crash,
    /// SIGSTOP.
    Stop,
    /// SIGKILL, once.
    Kill,
    /// Half a message, and then the next ones on the same line.
    HalfLine,
    /// Status 503.
    ServerError,
}

/// How a backend is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(crate) enum Transport {
    Stdio,
    Http,
    Sse,
}

/// The era a backend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

impl Fault {
    /// Every fault there is.
    pub(crate) const ALL: [Self; 14] = [
        Self::Refuse,
        Self::Blackhole,
        Self::Drip,
        Self::HalfClose,
        Self::Reset,
        Self::Garbage,
        Self::HugeFrame,
        Self::EndlessCursor,
        Self::LostSession,
        Self::Crash,
        Self::Stop,
        Self::Kill,
        Self::HalfLine,
        Self::ServerError,
    ];

    /// Its name in tables and on the control socket.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Refuse => "refuse",
            Self::Blackhole => "blackhole",
            Self::Drip => "slow drip",
            Self::HalfClose => "half close",
            Self::Reset => "reset",
            Self::Garbage => "garbage",
            Self::HugeFrame => "huge frame",
            Self::EndlessCursor => "endless cursor",
            Self::LostSession => "404 session",
            Self::Crash => "crash mid-call",
            Self::Stop => "SIGSTOP",
            Self::Kill => "kill -9",
            Self::HalfLine => "half line",
            Self::ServerError => "5xx",
        }
    }

    /// Whether a backend that is reached like this can have it.
    pub(crate) fn fits(self, transport: Transport, era: Era) -> bool {
        match self {
            Self::None | Self::Refuse | Self::Blackhole | Self::Drip | Self::HalfClose => true,
            Self::Garbage | Self::HugeFrame | Self::EndlessCursor | Self::Crash => true,
            Self::Stop | Self::Kill => true,
            Self::Reset | Self::ServerError => transport != Transport::Stdio,
            Self::LostSession => transport == Transport::Http && era == Era::Legacy,
            Self::HalfLine => transport == Transport::Stdio,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().chain([Self::None]).find(|fault| fault.name() == name).ok_or(())
    }
}
