//! What does the id of a session say?
//!
//! Everything that `initialize` agreed on, sealed: a gateway with the same keys, the next one at this
//! address or another replica, can take the session over from the id alone.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::protocol::{RawJson, Revision};
use crate::router::{Principal, Sealer};
use crate::server::error::Error;
use crate::server::session::Session;
use crate::units::seconds_since_1970 as now;

/// Bound into every id: what was sealed for another purpose does not open.
const PURPOSE: &[u8] = b"switchyard session 1";
/// How long after its beginning a session can be taken over.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest id that is looked at; ours have a few hundred characters.
const MAX_LENGTH: usize = 2048;

/// What is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    principal: String,
    revision: String,
    /// As far as a gateway can use them, which bounds the length.
    capabilities: String,
    /// Seconds since 1970.
    pub(super) opened: u64,
    /// The process that opened the session.
    process: String,
}

impl Ticket {
    pub(super) fn of(session: &Session, process: &str) -> Self {
        Self {
            principal: session.principal.name().to_owned(),
            revision: session.revision.as_str().to_owned(),
            capabilities: session.known_capabilities().as_str().to_owned(),
            opened: now(),
            process: process.to_owned(),
        }
    }

    /// The id, in visible ASCII; one that says nothing if it cannot be sealed.
    pub(super) fn seal(&self, sealer: &Sealer) -> Result<String, Error> {
        let text = serde_json::to_vec(self).ok();
        text.and_then(|text| sealer.seal_text(PURPOSE, text)).map_or_else(new_id, Ok)
    }

    /// What `id` says, if one of the keys sealed it.
    pub(super) fn open(sealer: &Sealer, id: &str) -> Option<Self> {
        if id.len() > MAX_LENGTH {
            return None;
        }
        serde_json::from_slice(&sealer.open_text(PURPOSE, id)?).ok()
    }

    /// Whether a session that `process` does not have may be taken over by it: somebody else opened it, not
    /// too long ago. One that it opened itself has ended.
    pub(super) fn is_valid(&self, process: &str) -> bool {
        self.process != process && is_recent(self.opened)
    }

    /// What a session needs to go on; `None` for anybody but its principal.
    pub(super) fn terms(&self, principal: &Principal) -> Option<(Revision, RawJson)> {
        let revision = Revision::parse(&self.revision)?;
        let capabilities = RawJson::parse(self.capabilities.clone().into()).ok()?;
        (self.principal == principal.name()).then_some((revision, capabilities))
    }
}

/// Whether what began at `opened` can still be taken over by anybody.
pub(super) fn is_recent(opened: u64) -> bool {
    now().saturating_sub(opened) < LIFETIME.as_secs()
}

/// 192 random bits in visible ASCII.
pub(super) fn new_id() -> Result<String, Error> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| Error::TooManySessions)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::server::calls::Calls;

    fn ticket(process: &str) -> Ticket {
        let capabilities =
            RawJson::parse(r#"{"elicitation":{},"experimental":{"x":"much"}}"#.into()).unwrap();
        let ann = Principal::named("ann");
        Ticket::of(&Session::new(ann, Revision::LATEST_LEGACY, capabilities, Calls::new()), process)
    }

    #[test]
    fn an_id_is_visible_ascii_and_opens_with_its_key_only() {
        let (sealer, other) = (Sealer::new(&["k".into()]).unwrap(), Sealer::new(&[]).unwrap());
        let ticket = ticket("one");
        let id = ticket.seal(&sealer).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()) && id.len() < 400, "{id}");
        assert_ne!(id, ticket.seal(&sealer).unwrap(), "no two sessions have one id");
        assert_eq!(Ticket::open(&sealer, &id).as_ref(), Some(&ticket));
        assert_eq!(Ticket::open(&other, &id), None);
        assert_eq!(Ticket::open(&sealer, &new_id().unwrap()), None);
    }

    #[test]
    fn what_was_agreed_is_for_its_principal_only() {
        let (revision, capabilities) = ticket("one").terms(&Principal::named("ann")).unwrap();
        assert_eq!(revision, Revision::LATEST_LEGACY);
        assert!(capabilities.get("elicitation").is_some() && capabilities.get("experimental").is_none());
        assert!(ticket("one").terms(&Principal::named("bob")).is_none());
    }

    #[test]
    fn a_process_takes_over_neither_its_own_sessions_nor_old_ones() {
        assert!(ticket("one").is_valid("two") && !ticket("one").is_valid("one"));
        let old = Ticket { opened: now() - LIFETIME.as_secs(), ..ticket("one") };
        assert!(!old.is_valid("two") && !is_recent(old.opened));
    }
}
