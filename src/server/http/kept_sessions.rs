//! What is kept of sessions, so that they survive a restart?
//!
//! The ids say what was agreed; this is what came after: which sessions have ended, and what a session's
//! client set. Ids are kept as digests.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::session_id::is_recent;

/// Ended sessions that are remembered one by one.
const MAX_ENDED: usize = 10_000;

/// What the client of a session set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Set {
    /// Seconds since 1970.
    pub(super) opened: u64,
    /// Least level of log messages.
    pub(super) level: String,
    /// The resources it watches, as it spells them.
    pub(super) watches: Vec<String>,
}

/// The contents of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// Digest of the id → when the session was opened.
    ended: BTreeMap<String, u64>,
    /// Of what was opened up to then, everything counts as ended: more sessions ended than are remembered.
    all_ended_until: u64,
    /// Digest of the id → what was set.
    set: BTreeMap<String, Set>,
}

impl Kept {
    /// Remembers that a session has ended.
    pub(super) fn end(&mut self, id: &str, opened: u64) {
        let digest = digest_of(id);
        self.set.remove(&digest);
        self.ended.insert(digest, opened);
        while self.ended.len() > MAX_ENDED {
            let Some((oldest, opened)) = self.oldest() else { return };
            self.ended.remove(&oldest);
            self.all_ended_until = self.all_ended_until.max(opened);
        }
    }

    fn oldest(&self) -> Option<(String, u64)> {
        let oldest = self.ended.iter().min_by_key(|(_, opened)| **opened)?;
        Some((oldest.0.clone(), *oldest.1))
    }

    pub(super) fn has_ended(&self, id: &str, opened: u64) -> bool {
        opened <= self.all_ended_until || self.ended.contains_key(&digest_of(id))
    }

    /// What the client of a session set, to be remembered by the session itself from now on.
    pub(super) fn take(&mut self, id: &str) -> Option<Set> {
        self.set.remove(&digest_of(id))
    }

    /// Takes in what another process wrote meanwhile.
    pub(super) fn absorb(&mut self, other: Self) {
        self.all_ended_until = self.all_ended_until.max(other.all_ended_until);
        self.ended.extend(other.ended);
        for (digest, set) in other.set {
            self.set.entry(digest).or_insert(set);
        }
    }

    /// With what the clients of the open sessions set, and without what nobody can ask for any more.
    pub(super) fn with(&self, open: Vec<(String, Set)>) -> Self {
        let ended = self.ended.iter().filter(|(_, opened)| is_recent(**opened));
        let waiting = self.set.iter().filter(|(_, set)| is_recent(set.opened));
        let waiting = waiting.map(|(digest, set)| (digest.clone(), set.clone()));
        Self {
            ended: ended.map(|(digest, opened)| (digest.clone(), *opened)).collect(),
            all_ended_until: self.all_ended_until,
            set: waiting.chain(open.into_iter().map(|(id, set)| (digest_of(&id), set))).collect(),
        }
    }
}

fn digest_of(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, id.as_bytes()).as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_ends_than_can_be_remembered_end_older_sessions_too() {
        let mut kept = Kept::default();
        for opened in 0..=MAX_ENDED as u64 {
            kept.end(&opened.to_string(), opened + 100);
        }
        assert_eq!(kept.ended.len(), MAX_ENDED);
        assert!(kept.has_ended("0", 100) && kept.has_ended("another as old", 100));
        assert!(kept.has_ended("1", 101) && !kept.has_ended("another", 101));
    }
}
