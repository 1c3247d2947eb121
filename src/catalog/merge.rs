//! How do the lists of many backends become one?
//!
//! Configuration order, then each backend's own order, so that the same backends always make the
//! same list. Names are given out in another order, the longest prefix first: no backend can take a
//! name that begins with another one's prefix by standing earlier in the file.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::entry::{Entry, key_member};
use super::exposure::Exposure;
use super::listing::Listing;
use super::names::Namer;
use super::route::{Item, Route};
use super::settings::{CatalogSettings, ExposureSettings};
use super::uris;
use super::warning::{Problem, Warnings};
use crate::protocol::{ListKind, RawJson};

/// One backend's part of a catalog.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// How its entries appear.
    pub exposure: &'a ExposureSettings,
    /// What it offered.
    pub listing: &'a Listing,
    /// Whether the listing is an old one, because the backend cannot be asked.
    pub stale: bool,
    /// Whether the backend is reached over Streamable HTTP, where headers repeat arguments.
    pub over_http: bool,
}

/// A source, with what is worked out once for all lists.
pub(super) struct Part<'a> {
    pub(super) backend: Arc<str>,
    pub(super) exposure: Arc<Exposure>,
    pub(super) source: Source<'a>,
}

impl<'a> Part<'a> {
    pub(super) fn new(source: &Source<'a>) -> Self {
        Self {
            backend: source.exposure.backend.as_str().into(),
            exposure: Arc::new(Exposure::new(source.exposure)),
            source: *source,
        }
    }

    /// The entries clients may see, each key once.
    fn entries(&self, kind: ListKind, warnings: &mut Warnings) -> Vec<Entry> {
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        for (position, raw) in self.source.listing.get(kind).iter().enumerate() {
            match Entry::read(kind, raw) {
                Ok(entry) if !self.exposure.shows(&entry.keys()) => {}
                Ok(entry) if !seen.insert(entry.key.clone()) => {
                    warnings.add(&self.backend, kind, &entry.key, Problem::Duplicate);
                }
                Ok(entry) => entries.extend(self.settled(kind, entry, warnings)),
                Err(problem) => warnings.add(&self.backend, kind, &label(kind, position, raw), problem),
            }
        }
        entries
    }

    fn settled(&self, kind: ListKind, mut entry: Entry, warnings: &mut Warnings) -> Option<Entry> {
        if let Some(changes) = entry.repaired.take() {
            warnings.add(&self.backend, kind, &entry.key, Problem::Repaired(changes));
        }
        if kind != ListKind::Tools {
            return Some(entry);
        }
        let settled = entry.settle_param_headers(self.source.over_http);
        let is_shown = settled.is_ok();
        if let Some(problem) = settled.unwrap_or_else(Some) {
            warnings.add(&self.backend, kind, &entry.key, problem);
        }
        is_shown.then_some(entry)
    }
}

/// The entries of `kind` under the names or URIs clients see.
pub(super) fn merge(
    kind: ListKind,
    settings: &CatalogSettings,
    parts: &[Part<'_>],
    warnings: &mut Warnings,
) -> Vec<Item> {
    let groups: Vec<Vec<Entry>> = parts.iter().map(|part| part.entries(kind, warnings)).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    if matches!(kind, ListKind::Tools | ListKind::Prompts) {
        order.sort_by_key(|at| Reverse(parts[*at].source.exposure.prefix.len()));
    }
    let mut claims = Claims { kind, namer: Namer::new(settings), owners: HashMap::new() };
    let mut shown: Vec<Vec<String>> = vec![Vec::new(); parts.len()];
    for at in order {
        shown[at] = groups[at].iter().map(|entry| claims.claim(&parts[at], entry, warnings)).collect();
    }
    let named = parts.iter().zip(groups).zip(shown);
    named
        .flat_map(|((part, entries), shown)| {
            entries.into_iter().zip(shown).map(|(entry, shown)| item(kind, part, entry, &shown))
        })
        .collect()
}

/// Who has which name.
struct Claims {
    kind: ListKind,
    namer: Namer,
    owners: HashMap<String, Arc<str>>,
}

impl Claims {
    /// The name or URI under which clients see `entry`.
    fn claim(&mut self, part: &Part<'_>, entry: &Entry, warnings: &mut Warnings) -> String {
        let wanted = self.wanted(part, entry);
        let Some(owner) = self.owners.get(&self.identity(&wanted)).cloned() else {
            self.owners.insert(self.identity(&wanted), part.backend.clone());
            return wanted;
        };
        let mut attempt = 0;
        let shown = loop {
            let shown = self.another(&wanted, part, entry, attempt);
            if self.owners.insert(self.identity(&shown), part.backend.clone()).is_none() {
                break shown;
            }
            attempt += 1;
        };
        let problem = Problem::Taken { owner: owner.to_string(), shown: shown.clone() };
        warnings.add(&part.backend, self.kind, &entry.key, problem);
        shown
    }

    fn wanted(&self, part: &Part<'_>, entry: &Entry) -> String {
        let exposure = part.source.exposure;
        match self.kind {
            ListKind::Tools | ListKind::Prompts => {
                let local = exposure.rename.get(&entry.key).unwrap_or(&entry.key);
                self.namer.qualify(&exposure.prefix, local)
            }
            ListKind::Resources | ListKind::ResourceTemplates | ListKind::Skills => entry.key.clone(),
        }
    }

    fn another(&self, wanted: &str, part: &Part<'_>, entry: &Entry, attempt: usize) -> String {
        match self.kind {
            ListKind::Tools | ListKind::Prompts => {
                self.namer.distinct(wanted, &part.backend, &entry.key, attempt)
            }
            _ => {
                (0..=attempt).fold(entry.key.clone(), |uri, _| uris::marked(&uris::slug(&part.backend), &uri))
            }
        }
    }

    /// What may not stand in the list twice.
    fn identity(&self, shown: &str) -> String {
        match self.kind {
            ListKind::ResourceTemplates => uris::shape(shown),
            _ => shown.to_owned(),
        }
    }
}

fn item(kind: ListKind, part: &Part<'_>, entry: Entry, shown: &str) -> Item {
    let Entry { mut object, key, .. } = entry;
    if shown != key {
        object.set(key_member(kind), RawJson::of(shown));
    }
    if kind == ListKind::Tools
        && let Some(description) = part.source.exposure.description.get(&key)
    {
        object.set("description", RawJson::of(description));
    }
    let route = Route { backend: part.backend.clone(), local: key.into(), qualified: shown.into() };
    Item { route, entry: object.to_json() }
}

/// How a warning calls an entry that could not be read.
fn label(kind: ListKind, position: usize, raw: &RawJson) -> String {
    let name = raw.get(key_member(kind)).and_then(|key| key.string().map(|text| text.into_owned()));
    name.unwrap_or_else(|| format!("entry {}", position + 1))
}
