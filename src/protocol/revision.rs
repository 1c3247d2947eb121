//! The published revisions of MCP, and the two eras they fall into.

use std::fmt;

/// How a connection agrees on what it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize` handshake and sessions (2024-11-05 to 2025-11-25).
    Legacy,
    /// Metadata on every request, no handshake (2026-07-28).
    Modern,
}

impl Era {
    /// The word used in metrics, logs and `/status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        }
    }
}

/// A published revision, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// HTTP+SSE and stdio.
    V2024_11_05,
    /// Streamable HTTP; the only one with batches.
    V2025_03_26,
    /// Structured results, elicitation.
    V2025_06_18,
    /// Icons, URL elicitation, experimental tasks.
    V2025_11_25,
    /// Stateless.
    V2026_07_28,
}

impl Revision {
    /// Every revision spoken, oldest first.
    pub const ALL: [Revision; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];
    /// What an `initialize` for an unknown version is answered with.
    pub const LATEST_LEGACY: Revision = Self::V2025_11_25;
    /// The newest revision spoken.
    pub const LATEST: Revision = Self::V2026_07_28;

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision with this name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// Its era.
    pub fn era(self) -> Era {
        if self >= Self::V2026_07_28 { Era::Modern } else { Era::Legacy }
    }

    /// What an `initialize` that asks for `requested` is answered with: the same version if it is a
    /// legacy one we speak, else our latest legacy one (MCP 2025-11-25, basic/lifecycle).
    pub fn negotiate(requested: &str) -> Self {
        Self::parse(requested).filter(|revision| revision.era() == Era::Legacy).unwrap_or(Self::LATEST_LEGACY)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_never_ends_in_the_modern_era() {
        assert_eq!(Revision::negotiate("2025-03-26"), Revision::V2025_03_26);
        assert_eq!(Revision::negotiate("2026-07-28"), Revision::V2025_11_25);
        assert_eq!(Revision::negotiate("1999-01-01"), Revision::V2025_11_25);
    }
}
