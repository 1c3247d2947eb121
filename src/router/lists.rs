//! What does a client get for one request of a list, and how does it go on to the next page?
//!
//! Where a client stopped reading is sealed for it: any replica with the keys and the same list goes on from there,
//! and nobody else's cursor, nor an old one, leads anywhere (MCP 2026-07-28, server/utilities/pagination).

use std::time::Duration;

use bytes::Bytes;

use crate::backend::CacheHint;
use crate::catalog::{Audience, BadCursor};
use crate::protocol::{Era, ListKind, RpcError, apps};

use super::request::Caller;
use super::router::Router;
use super::seal::{Sealed, Sealer, expiry};

/// How long a modern client may use a list without asking again, in milliseconds, if the backends allow it for as long;
/// a change is told to those who listen.
const LIST_TTL_MS: u64 = 5_000;
/// Within which the next page must be asked for.
const CURSOR_LIFE: Duration = Duration::from_secs(60 * 60);

/// One page of a list, ready to be put into a result.
#[derive(Debug, Clone)]
pub struct ListPage {
    /// The entries as a JSON array.
    pub entries: Bytes,
    /// Where the next page starts.
    pub next_cursor: Option<String>,
    /// Backends whose part may be out of date.
    pub stale: Vec<String>,
    /// How long the page may be used, in milliseconds.
    pub ttl_ms: u64,
    /// Whether it depends on nobody's authorization towards a backend.
    pub is_public: bool,
}

impl Router {
    /// One page of a list, as the caller can use it. Never waits.
    ///
    /// # Errors
    /// −32602 for a cursor that is not, or no longer, one of the caller's.
    pub fn list(&self, kind: ListKind, caller: &Caller, cursor: Option<&str>) -> Result<ListPage, RpcError> {
        let principal = caller.principal.name();
        let refused = |error: BadCursor| RpcError::invalid_params(error.to_string());
        let place = cursor
            .map(|cursor| open(&self.sealer(), kind, principal, cursor))
            .transpose()
            .map_err(refused)?;
        let catalog = self.catalog();
        let page = catalog.page(kind, audience(caller), place.as_deref()).map_err(refused)?;
        let next_cursor =
            page.next_cursor.map(|place| seal(&self.sealer(), kind, principal, place)).transpose()?;
        let caching = match caller.revision.era() {
            Era::Modern => self.caching_of(kind),
            // It is not told.
            Era::Legacy => CacheHint::NONE,
        };
        Ok(ListPage {
            entries: page.entries,
            next_cursor,
            stale: catalog.stale().map(str::to_owned).collect(),
            ttl_ms: caching.ttl_ms,
            is_public: caching.is_public,
        })
    }

    /// The shortest time and the smallest circle that any backend with such a list asks for.
    fn caching_of(&self, kind: ListKind) -> CacheHint {
        let fleet = self.fleet();
        let hints = fleet.members().iter().filter_map(|member| member.caching_of(kind));
        hints.fold(CacheHint { ttl_ms: LIST_TTL_MS, is_public: true }, CacheHint::and)
    }
}

fn audience(caller: &Caller) -> Audience {
    Audience { era: caller.revision.era(), shows_apps: apps::are_declared(&caller.capabilities) }
}

fn seal(sealer: &Sealer, kind: ListKind, principal: &str, place: String) -> Result<String, RpcError> {
    let (principal, request) = (principal.to_owned(), kind.method().to_owned());
    let sealed = sealer.seal(&Sealed { principal, request, expires: expiry(CURSOR_LIFE), content: place });
    // A list that ends too early would look whole.
    sealed.ok_or_else(|| RpcError::internal("the next page could not be sealed"))
}

fn open(sealer: &Sealer, kind: ListKind, principal: &str, cursor: &str) -> Result<String, BadCursor> {
    let sealed: Sealed<String> = sealer.open(cursor).ok_or(BadCursor::Foreign)?;
    let is_own = sealed.principal == principal && sealed.request == kind.method();
    is_own.then_some(sealed.content).ok_or(BadCursor::Foreign)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    #[test]
    fn a_cursor_leads_its_own_reader_on_through_its_own_list_on_any_replica() {
        let replica = || Sealer::new(&[SecretString::from("key")]).unwrap();
        let cursor = seal(&replica(), ListKind::Tools, "ann", "place".to_owned()).unwrap();
        assert_eq!(open(&replica(), ListKind::Tools, "ann", &cursor), Ok("place".to_owned()));
        assert_eq!(open(&replica(), ListKind::Tools, "bob", &cursor), Err(BadCursor::Foreign));
        assert_eq!(open(&replica(), ListKind::Prompts, "ann", &cursor), Err(BadCursor::Foreign));
        for made_up in ["", "place", &cursor[1..]] {
            assert_eq!(open(&replica(), ListKind::Tools, "ann", made_up), Err(BadCursor::Foreign));
        }
        let stranger = Sealer::new(&[]).unwrap();
        assert_eq!(open(&stranger, ListKind::Tools, "ann", &cursor), Err(BadCursor::Foreign));
    }
}
