//! What can be done about a request that a server refused before it looked at what it asks?
//!
//! | refused with | what is put right | sent once more |
//! |---|---|---|
//! | −32020, a header is wrong | the tools are listed anew | with the headers of the new schema |
//! | −32022, it speaks other versions, one of them ours | era and version are found out anew | as agreed then |
//! | −32022, though it lists the version that was used | nothing: another replica may answer | as it was |
//! | HTTP 200 or 5xx and an error about its session, which is lost | another session is opened | as it was |
//!
//! Servers must refuse so with HTTP 400 (MCP 2026-07-28, basic/transports/streamable-http, server validation;
//! basic/versioning). The same code with any other status may be a tool's own, and what it ran is not known.

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::protocol::{RawJson, Revision, Routed, code, method};

use super::connection::Connection;
use super::http::is_about_lost_session;
use super::verdict::code_of;
use super::{Backend, Call};

/// What was put right before a refused request is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The tools were listed anew: worth it only if the tool asks for other headers now.
    Tools,
    /// It was found out anew what the server speaks.
    Version,
    /// Another session was opened in the place of a lost one.
    Session,
}

/// What a refusal calls for.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another list of tools; tells when there is one.
    List(watch::Receiver<u64>),
    /// Another session, if the present one is lost: only the backend knows.
    Reopen,
    /// Another handshake.
    Agree,
    /// Nothing but another attempt.
    Ask,
}

/// What `error` calls for, if it refuses a request for its version that was sent in `used`.
fn version_refused(error: &RawJson, used: Revision) -> Option<Refused> {
    let listed = error.get("data")?.get("supported")?.to::<Vec<String>>()?;
    let spoken: Vec<Revision> = listed.iter().filter_map(|version| Revision::parse(version)).collect();
    if spoken.contains(&used) {
        return Some(Refused::Ask);
    }
    (!spoken.is_empty()).then_some(Refused::Agree)
}

impl Call {
    /// Has the backend's tools listed anew if it finds its headers wrong, and keeps what the refusal calls for.
    pub(super) fn examine(&mut self, outcome: &Result<RawJson, RawJson>) {
        let Err(error) = outcome else { return };
        let is_unread = self.status() == Some(StatusCode::BAD_REQUEST);
        self.refused = match code_of(error) {
            Some(code::HEADER_MISMATCH) if self.outgoing.method == Routed::CallTool.method() => {
                let listed = self.backend.fetches.subscribe();
                self.lease.connection().signals().notification(method::TOOLS_CHANGED, None);
                is_unread.then_some(Refused::List(listed))
            }
            Some(code::UNSUPPORTED_VERSION) if is_unread => {
                version_refused(error, self.lease.connection().revision())
            }
            // Other refusals were examined before.
            _ if self.status() == Some(StatusCode::OK) && is_about_lost_session(error) => {
                Some(Refused::Reopen)
            }
            _ => None,
        };
    }

    /// Whether its answer says that the server did not even read it, for a reason that can be put right.
    pub fn was_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Puts right why the request was refused unread; nothing if it was not, or repeats another one already.
    /// Takes as long as connecting may take, at most.
    pub async fn put_right(&mut self) -> Option<Remedy> {
        let refused = self.refused.take().filter(|_| !self.is_retry)?;
        match refused {
            Refused::List(mut listed) => {
                let patience = self.backend.settings().timeouts.connect;
                let is_listed = timeout(patience, listed.changed()).await.is_ok_and(|told| told.is_ok());
                is_listed.then_some(Remedy::Tools)
            }
            // Needed whether or not there is leave to send the request again.
            Refused::Reopen => self.lease.connection().reopen_if_lost().await.then_some(Remedy::Session),
            // Leave comes first: a handshake is made with each.
            _ if !self.backend.take_retry() => None,
            Refused::Agree => {
                self.backend.agree_anew(self.lease.connection());
                Some(Remedy::Version)
            }
            Refused::Ask => Some(Remedy::Version),
        }
    }

    /// Takes leave to send once more what was put right by `remedy`, if that is still to be taken.
    pub fn may_follow(&self, remedy: Remedy) -> bool {
        remedy == Remedy::Version || self.backend.take_retry()
    }
}

impl Backend {
    /// Has it connected anew, the probe for its era included, unless another call had that done already.
    fn agree_anew(&self, stale: &Connection) {
        let reason = "the backend speaks other versions of the protocol than it did";
        stale.signals().lose(reason);
        if let Ok(shared) = self.state().connection()
            && shared.revision() == stale.revision()
        {
            self.learn_era(None);
            shared.signals().lose(reason);
        } else if self.known_era() == Some(stale.revision().era()) {
            self.learn_era(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn word(supported: serde_json::Value) -> &'static str {
        let error = RawJson::of(&json!({"code": -32022, "message": "", "data": supported}));
        match version_refused(&error, Revision::LATEST) {
            None => "nothing",
            Some(Refused::Ask) => "ask",
            Some(Refused::Agree) => "agree",
            Some(Refused::Reopen) => "reopen",
            Some(Refused::List(_)) => "list",
        }
    }

    #[test]
    fn only_versions_that_are_offered_and_spoken_here_are_worth_another_attempt() {
        assert_eq!(word(json!({"supported": ["2025-11-25", "2026-07-28"]})), "ask");
        assert_eq!(word(json!({"supported": ["2025-11-25", "2031-01-01"]})), "agree");
        assert_eq!(word(json!({"supported": ["2031-01-01"]})), "nothing");
        assert_eq!(word(json!({"supported": "2025-11-25"})), "nothing");
        assert_eq!(word(json!(null)), "nothing");
    }
}
