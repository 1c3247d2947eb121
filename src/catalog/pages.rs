//! What does a client get for one list request?

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::cursor::{self, BadCursor};
use super::digest::Digest;
use super::route::Item;
use crate::protocol::ListKind;

/// One answer's part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries as a JSON array, ready to be sent.
    pub entries: Bytes,
    /// What to ask for next; `None` on the last page.
    pub next_cursor: Option<String>,
}

/// One of the four lists, searchable and cut into pages.
#[derive(Debug)]
pub(super) struct List {
    kind: ListKind,
    items: Vec<Item>,
    by_key: HashMap<Arc<str>, usize>,
    digest: Digest,
    page_size: usize,
    /// Joined once: nearly every client asks for just this.
    first: Bytes,
}

impl List {
    pub(super) fn new(kind: ListKind, items: Vec<Item>, page_size: usize) -> Self {
        let page_size = page_size.max(1);
        Self {
            kind,
            by_key: items.iter().enumerate().map(|(at, item)| (item.route.qualified.clone(), at)).collect(),
            digest: Digest::of(items.iter().map(|item| item.entry.as_bytes())),
            page_size,
            first: join(items.iter().take(page_size)),
            items,
        }
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn find(&self, qualified: &str) -> Option<&Item> {
        self.by_key.get(qualified).and_then(|at| self.items.get(*at))
    }

    /// Whether clients see the same entries in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    pub(super) fn page(&self, cursor: Option<&str>) -> Result<Page, BadCursor> {
        let start = match cursor {
            None => 0,
            Some(cursor) => self.start(cursor)?,
        };
        let entries = match start {
            0 => self.first.clone(),
            _ => join(self.items.iter().skip(start).take(self.page_size)),
        };
        Ok(Page { entries, next_cursor: self.cursor_after(start) })
    }

    fn start(&self, cursor: &str) -> Result<usize, BadCursor> {
        let start = cursor::decode(self.kind, &self.digest, cursor)? as usize;
        if start == 0 || start >= self.items.len() {
            return Err(BadCursor::Foreign);
        }
        Ok(start)
    }

    fn cursor_after(&self, start: usize) -> Option<String> {
        let end = start.saturating_add(self.page_size);
        let offset = u32::try_from(end).ok().filter(|_| end < self.items.len())?;
        Some(cursor::encode(self.kind, &self.digest, offset))
    }
}

fn join<'a>(items: impl Iterator<Item = &'a Item>) -> Bytes {
    let mut text = BytesMut::new();
    text.put_u8(b'[');
    for (position, item) in items.enumerate() {
        if position > 0 {
            text.put_u8(b',');
        }
        text.put_slice(item.entry.as_bytes());
    }
    text.put_u8(b']');
    text.freeze()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::route::Route;
    use crate::protocol::RawJson;
    use proptest::prelude::*;

    fn list(length: usize, page_size: usize) -> List {
        let item = |n: usize| {
            let name: Arc<str> = n.to_string().into();
            let route = Route { backend: "b".into(), local: name.clone(), qualified: name };
            Item { route, entry: RawJson::of(&n) }
        };
        List::new(ListKind::Tools, (0..length).map(item).collect(), page_size)
    }

    #[test]
    fn an_empty_list_is_one_empty_page() {
        let page = list(0, 10).page(None).unwrap();
        assert_eq!((page.entries.as_ref(), page.next_cursor), (b"[]".as_slice(), None));
    }

    #[test]
    fn a_replica_with_the_same_list_continues_where_another_stopped() {
        let next = list(5, 2).page(None).unwrap().next_cursor.unwrap();
        assert_eq!(list(5, 2).page(Some(&next)).unwrap().entries.as_ref(), b"[2,3]");
        assert_eq!(list(6, 2).page(Some(&next)), Err(BadCursor::Outdated));
        assert_eq!(list(5, 2).page(Some("")), Err(BadCursor::Foreign));
    }

    proptest! {
        #[test]
        fn following_the_cursors_shows_every_entry_once(length in 0usize..60, page_size in 1usize..20) {
            let list = list(length, page_size);
            let mut seen: Vec<usize> = Vec::new();
            let mut cursor = None;
            loop {
                let page = list.page(cursor.as_deref()).unwrap();
                seen.extend(serde_json::from_slice::<Vec<usize>>(&page.entries).unwrap());
                cursor = page.next_cursor;
                if cursor.is_none() { break }
            }
            prop_assert_eq!(seen, (0..length).collect::<Vec<_>>());
        }
    }
}
