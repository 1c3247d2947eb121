//! What a backend offers: its lists, all pages of each, bounded.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;

use crate::protocol::{Era, ListKind, Object, RawJson, skills};

use super::Failure;
use super::connection::Connection;
use super::handshake::message_of;

/// Most entries of one list; a list beyond it is cut and a warning written.
const MAX_ENTRIES: usize = 20_000;
/// Most bytes of one list.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most pages of one list.
const MAX_PAGES: usize = 1_000;

/// Everything a backend showed, as it showed it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// Entries of `tools/list`.
    pub tools: Vec<RawJson>,
    /// Entries of `prompts/list`.
    pub prompts: Vec<RawJson>,
    /// Entries of `resources/list`.
    pub resources: Vec<RawJson>,
    /// Entries of `resources/templates/list`.
    pub resource_templates: Vec<RawJson>,
    /// Entries of `skills/list`.
    pub skills: Vec<RawJson>,
    /// For the model.
    pub instructions: Option<String>,
    /// As the backend declared them.
    pub capabilities: Option<RawJson>,
    /// Lists that were cut short, and why.
    pub cut: Vec<String>,
}

/// Fetches everything the backend says it has; `limit` is for each page.
pub(super) async fn fetch(connection: &Connection, backend: &str, limit: Duration) -> Result<Offer, Failure> {
    let agreement = connection.agreement();
    let reader = Reader { connection, backend, limit, cut: Mutex::default() };
    let mut offer = Offer {
        instructions: agreement.instructions.clone(),
        capabilities: Some(agreement.capabilities.clone()),
        ..Offer::default()
    };
    if agreement.offers("tools") {
        offer.tools = reader.all(ListKind::Tools).await?;
    }
    if agreement.offers("prompts") {
        offer.prompts = reader.all(ListKind::Prompts).await?;
    }
    if agreement.offers("resources") {
        offer.resources = reader.all(ListKind::Resources).await?;
        offer.resource_templates = reader.all(ListKind::ResourceTemplates).await?;
    }
    // The extension came with the modern era.
    if agreement.revision.era() == Era::Modern && skills::declared(&agreement.capabilities).is_some() {
        offer.skills = reader.all(ListKind::Skills).await?;
    }
    offer.cut = reader.cut.into_inner();
    Ok(offer)
}

struct Reader<'a> {
    connection: &'a Connection,
    backend: &'a str,
    limit: Duration,
    cut: Mutex<Vec<String>>,
}

impl Reader<'_> {
    /// Walks the pages of one list. A list that the backend refuses is empty, except the tools: a
    /// backend that cannot list its tools is not ready.
    async fn all(&self, kind: ListKind) -> Result<Vec<RawJson>, Failure> {
        let mut walk = Walk::default();
        let mut cursor: Option<RawJson> = None;
        loop {
            let mut params = Object::new();
            if let Some(cursor) = &cursor {
                params.set("cursor", cursor.clone());
            }
            let page = match self.connection.ask(kind.method(), params, self.limit).await? {
                Ok(page) => page,
                Err(error) => return self.refused(kind, &error, walk),
            };
            match walk.take(kind, &page) {
                Step::Next(next) => cursor = Some(next),
                Step::Done => return Ok(walk.entries),
                Step::Cut(reason) => {
                    tracing::warn!(backend = self.backend, list = kind.member(), reason, "cut a list short");
                    let entries = walk.entries.len();
                    self.cut
                        .lock()
                        .push(format!("`{}` is cut at {entries} entries: {reason}", kind.method()));
                    return Ok(walk.entries);
                }
            }
        }
    }

    fn refused(&self, kind: ListKind, error: &RawJson, walk: Walk) -> Result<Vec<RawJson>, Failure> {
        let message = message_of(error);
        if kind == ListKind::Tools {
            return Err(Failure::unavailable(format!("`tools/list` was refused: {message}")));
        }
        tracing::debug!(backend = self.backend, list = kind.member(), message, "the backend refused a list");
        Ok(walk.entries)
    }
}

/// The pages of one list seen so far.
#[derive(Default)]
struct Walk {
    entries: Vec<RawJson>,
    bytes: usize,
    cursors: HashSet<RawJson>,
}

enum Step {
    Next(RawJson),
    Done,
    Cut(&'static str),
}

impl Walk {
    fn take(&mut self, kind: ListKind, page: &RawJson) -> Step {
        let entries = page.get(kind.member()).map(|entries| entries.elements()).unwrap_or_default();
        self.bytes += page.len();
        self.entries.extend(entries);
        if self.entries.len() > MAX_ENTRIES {
            self.entries.truncate(MAX_ENTRIES);
            return Step::Cut("too many entries");
        }
        if self.bytes > MAX_BYTES {
            return Step::Cut("too many bytes");
        }
        // An empty string is a cursor; only its absence ends the list.
        let Some(cursor) = page.get("nextCursor").filter(|cursor| cursor.string().is_some()) else {
            return Step::Done;
        };
        if self.cursors.len() >= MAX_PAGES {
            return Step::Cut("too many pages");
        }
        if !self.cursors.insert(cursor.clone()) {
            return Step::Cut("a cursor came twice");
        }
        Step::Next(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(cursor: Option<&str>) -> RawJson {
        let mut page = json!({"tools": [{"name": "a"}, 5]});
        if let Some(cursor) = cursor {
            page["nextCursor"] = cursor.into();
        }
        RawJson::of(&page)
    }

    #[test]
    fn pages_are_followed_until_one_names_no_next() {
        let mut walk = Walk::default();
        assert!(matches!(walk.take(ListKind::Tools, &page(Some(""))), Step::Next(_)));
        assert!(matches!(walk.take(ListKind::Tools, &page(Some("2"))), Step::Next(_)));
        assert!(matches!(walk.take(ListKind::Tools, &page(None)), Step::Done));
        assert_eq!(walk.entries.len(), 6);
    }

    #[test]
    fn an_endless_list_is_cut() {
        let mut walk = Walk::default();
        assert!(matches!(walk.take(ListKind::Tools, &page(Some("x"))), Step::Next(_)));
        assert!(matches!(walk.take(ListKind::Tools, &page(Some("x"))), Step::Cut("a cursor came twice")));
        let mut walk = Walk::default();
        let cut = (0..2_000)
            .any(|n| matches!(walk.take(ListKind::Tools, &page(Some(&n.to_string()))), Step::Cut(_)));
        assert!(cut && walk.cursors.len() <= MAX_PAGES);
    }
}
