//! How are the pages of one list read? All of them, bounded, and no page takes those before it along.

use std::collections::HashSet;
use std::time::Duration;

use crate::protocol::{Era, ListKind, Object, RawJson, code};

use super::connection::Connection;
use super::handshake::message_of;
use super::offer::CacheHint;
use super::verdict::code_of;
use super::{Failure, FailureKind};

/// Most entries of one list; a list beyond it is cut.
const MAX_ENTRIES: usize = 20_000;
/// Most bytes of one list.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most pages of one list.
const MAX_PAGES: usize = 1_000;

/// Asks one connection for its lists; `limit` is for each page.
pub(super) struct Reader<'a> {
    pub(super) connection: &'a Connection,
    pub(super) limit: Duration,
}

/// One list, as far as it could be read.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) entries: Vec<RawJson>,
    /// Why it ends where it does, if that is not its end.
    pub(super) cut: Option<String>,
    /// Whether the rest may be there later.
    pub(super) is_partial: bool,
    pub(super) caching: CacheHint,
}

/// Why nothing of a list could be read.
#[derive(Debug)]
pub(super) enum Unlisted {
    /// The backend does not know the method.
    Unknown,
    /// It refused, and may list something else.
    Refused(Failure),
    /// It is not there, or does not let the gateway in.
    Failed(Failure),
}

impl Reader<'_> {
    /// Walks the pages of one list.
    pub(super) async fn all(&self, kind: ListKind) -> Result<Listed, Unlisted> {
        let mut walk = Walk::default();
        loop {
            let page = match self.page(kind, walk.cursor.as_ref()).await {
                Ok(page) => page,
                Err(Unlisted::Refused(failure)) if walk.pages > 0 => {
                    let reason = format!("the next page is missing: {}", failure.message);
                    return Ok(self.listed(walk, Some(reason), true));
                }
                Err(unlisted) => return Err(unlisted),
            };
            match walk.take(kind, &page) {
                Step::Next => {}
                Step::Done => return Ok(self.listed(walk, None, false)),
                Step::Cut(reason) => return Ok(self.listed(walk, Some(reason.to_owned()), false)),
            }
        }
    }

    async fn page(&self, kind: ListKind, cursor: Option<&RawJson>) -> Result<RawJson, Unlisted> {
        let mut params = Object::new();
        if let Some(cursor) = cursor {
            params.set("cursor", cursor.clone());
        }
        match self.connection.ask(kind.method(), params, self.limit).await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) if code_of(&error) == Some(code::METHOD_NOT_FOUND) && cursor.is_none() => {
                Err(Unlisted::Unknown)
            }
            Ok(Err(error)) => {
                let message = format!("`{}` was refused: {}", kind.method(), message_of(&error));
                Err(Unlisted::Refused(Failure::unavailable(message)))
            }
            Err(failure) if self.is_fatal(kind, &failure, cursor.is_none()) => Err(Unlisted::Failed(failure)),
            Err(failure) => Err(Unlisted::Refused(failure)),
        }
    }

    /// Whether there is no point in asking for anything else.
    fn is_fatal(&self, kind: ListKind, failure: &Failure, is_first: bool) -> bool {
        let is_away = match failure.kind {
            FailureKind::NotConnected | FailureKind::NotAuthorized => true,
            FailureKind::Unavailable => failure.http_status.is_none(),
            // A server that does not even list its tools in time lists nothing else.
            FailureKind::Timeout => kind == ListKind::Tools && is_first,
            FailureKind::Lost => is_first && failure.http_status.is_none(),
            FailureKind::Busy | FailureKind::Malformed | FailureKind::CircuitOpen => false,
        };
        is_away || self.connection.signals().is_lost()
    }

    fn listed(&self, walk: Walk, cut: Option<String>, is_partial: bool) -> Listed {
        let is_modern = self.connection.revision().era() == Era::Modern;
        let caching = walk.caching.filter(|_| is_modern).unwrap_or(CacheHint::NONE);
        Listed { entries: walk.entries, cut, is_partial, caching }
    }
}

/// The pages of one list seen so far.
#[derive(Default)]
struct Walk {
    entries: Vec<RawJson>,
    bytes: usize,
    pages: usize,
    /// Where the next page begins.
    cursor: Option<RawJson>,
    cursors: HashSet<RawJson>,
    /// The entries of each page, which share their text with `entries`.
    seen: HashSet<RawJson>,
    caching: Option<CacheHint>,
}

enum Step {
    Next,
    Done,
    Cut(&'static str),
}

impl Walk {
    fn take(&mut self, kind: ListKind, page: &RawJson) -> Step {
        let listed = page.get(kind.member());
        if listed.as_ref().is_some_and(|listed| !listed.is_array() && !listed.is_null()) {
            return Step::Cut("what should be the list is no array");
        }
        let entries = listed.as_ref().map(RawJson::elements).unwrap_or_default();
        let is_new = entries.is_empty() || listed.is_none_or(|listed| self.seen.insert(listed));
        if !is_new {
            // Servers that have one page and a `nextCursor` of "" take no notice of the cursor either.
            let is_blank = self.cursor.as_ref().is_some_and(|cursor| cursor.as_str() == "\"\"");
            return if is_blank { Step::Done } else { Step::Cut("a page came twice") };
        }
        self.pages += 1;
        self.bytes += page.len();
        self.entries.extend(entries);
        let hint = hint_of(page);
        self.caching = Some(self.caching.map_or(hint, |caching| caching.and(hint)));
        if self.entries.len() > MAX_ENTRIES {
            self.entries.truncate(MAX_ENTRIES);
            return Step::Cut("too many entries");
        }
        if self.bytes > MAX_BYTES {
            return Step::Cut("too many bytes");
        }
        let Some(cursor) = page.get("nextCursor").filter(is_cursor) else { return Step::Done };
        if self.cursors.len() >= MAX_PAGES {
            return Step::Cut("too many pages");
        }
        if !self.cursors.insert(cursor.clone()) {
            return Step::Cut("a cursor came twice");
        }
        self.cursor = Some(cursor);
        Step::Next
    }
}

/// An empty string is a cursor, and what is spelt as a number is given back as one; `null` ends the list as its absence
/// does.
fn is_cursor(value: &RawJson) -> bool {
    let first = value.as_bytes().first();
    first.is_some_and(|first| *first == b'"' || *first == b'-' || first.is_ascii_digit())
}

fn hint_of(page: &RawJson) -> CacheHint {
    let ttl_ms = page.get("ttlMs").and_then(|ttl| ttl.to::<f64>()).unwrap_or_default();
    let scope = page.get("cacheScope");
    let is_public = scope.is_some_and(|scope| scope.string().as_deref() == Some("public"));
    // Out of range, it becomes the nearest number that is in it; no number becomes none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
    CacheHint { ttl_ms: ttl_ms as u64, is_public }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn page(number: usize, cursor: Value) -> RawJson {
        RawJson::of(&json!({"tools": [{"name": format!("t{number}")}, 5], "nextCursor": cursor}))
    }

    #[test]
    fn pages_are_followed_until_one_names_no_next() {
        for end in [Value::Null, json!(false), json!({})] {
            let mut walk = Walk::default();
            for (number, cursor) in [json!(""), json!("2"), json!(3)].into_iter().enumerate() {
                assert!(matches!(walk.take(ListKind::Tools, &page(number, cursor)), Step::Next));
            }
            assert_eq!(walk.cursor.as_ref().map(RawJson::as_str), Some("3"));
            assert!(matches!(walk.take(ListKind::Tools, &page(9, end)), Step::Done));
            assert_eq!(walk.entries.len(), 8);
        }
    }

    #[test]
    fn a_server_that_takes_no_notice_of_an_empty_cursor_has_one_page() {
        let mut walk = Walk::default();
        assert!(matches!(walk.take(ListKind::Tools, &page(1, json!(""))), Step::Next));
        assert!(matches!(walk.take(ListKind::Tools, &page(1, json!(""))), Step::Done));
        assert_eq!(walk.entries.len(), 2);
    }

    #[test]
    fn an_endless_list_is_cut() {
        let mut walk = Walk::default();
        assert!(matches!(walk.take(ListKind::Tools, &page(1, json!("x"))), Step::Next));
        assert!(matches!(walk.take(ListKind::Tools, &page(1, json!("x"))), Step::Cut("a page came twice")));
        assert_eq!(walk.entries.len(), 2);
        let mut walk = Walk::default();
        assert!(matches!(walk.take(ListKind::Tools, &page(1, json!("x"))), Step::Next));
        assert!(matches!(walk.take(ListKind::Tools, &page(2, json!("x"))), Step::Cut("a cursor came twice")));
        let mut walk = Walk::default();
        let cut = (0..2_000)
            .any(|n| matches!(walk.take(ListKind::Tools, &page(n, json!(n.to_string()))), Step::Cut(_)));
        assert!(cut && walk.cursors.len() <= MAX_PAGES);
    }

    #[test]
    fn the_hint_of_a_list_is_the_narrowest_of_its_pages() {
        let hint = |members: Value| hint_of(&RawJson::of(&members));
        let said = |ttl_ms, is_public| CacheHint { ttl_ms, is_public };
        assert_eq!(hint(json!({"ttlMs": 5000, "cacheScope": "public"})), said(5000, true));
        assert_eq!(hint(json!({"ttlMs": 5e3, "cacheScope": "PUBLIC"})), said(5000, false));
        for nothing in [json!({}), json!({"ttlMs": -1}), json!({"ttlMs": "5", "cacheScope": 1})] {
            assert_eq!(hint(nothing), CacheHint::NONE);
        }
    }
}
