//! What exists right now, and where does each name lead?

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::app_links;
use super::audience::{Audience, Shown};
use super::cursor::BadCursor;
use super::execution;
use super::instructions;
use super::known_backend::Backend;
use super::merge::{self, Part, Source};
use super::nearest;
use super::owners::Owners;
use super::pages::{List, Page};
use super::route::{Item, Route};
use super::settings::CatalogSettings;
use super::skills;
use super::summary::BackendSummary;
use super::tool::ToolEntry;
use super::unmatched;
use super::warning::{Warning, Warnings};
use crate::protocol::ListKind;

/// An immutable snapshot of everything clients can see.
#[derive(Debug)]
pub struct Catalog {
    pub(super) generation: u64,
    pub(super) page_size: usize,
    /// In the order of [`ListKind::ALL`].
    pub(super) lists: [List; 5],
    /// The tools as each audience sees them, made when first asked for; `None` where that is just the list.
    pub(super) shown_tools: [OnceLock<Option<List>>; Audience::COUNT],
    pub(super) tools: HashMap<Arc<str>, Arc<ToolEntry>>,
    pub(super) owners: Owners,
    pub(super) backends: Vec<Backend>,
    pub(super) instructions: Option<String>,
    pub(super) warnings: Vec<Warning>,
}

impl Catalog {
    /// A catalog without entries.
    pub fn empty() -> Self {
        Self::merge(0, &CatalogSettings::default(), &[])
    }

    /// Merges what backends offered, in the order given.
    pub fn merge(generation: u64, settings: &CatalogSettings, sources: &[Source<'_>]) -> Self {
        let mut warnings = Warnings::default();
        let parts: Vec<Part<'_>> = sources.iter().map(Part::new).collect();
        let mut items = ListKind::ALL.map(|kind| merge::merge(kind, settings, &parts, &mut warnings));
        let [tools, _, resources, _, skills] = &mut items;
        let changed = app_links::changed(tools, resources);
        if !changed.is_empty() {
            tools.iter_mut().for_each(|tool| app_links::rewrite(tool, &changed));
        }
        skills::settle(skills, resources);
        parts.iter().for_each(|part| unmatched::check(part, &mut warnings));
        let validating: Vec<&str> = sources
            .iter()
            .filter(|source| source.exposure.validate_arguments)
            .map(|source| source.exposure.backend.as_str())
            .collect();
        let tools = items[index(ListKind::Tools)]
            .iter_mut()
            .map(|item| {
                let task_support = execution::take(item);
                let validate = validating.contains(&&*item.route.backend);
                (item.route.qualified.clone(), ToolEntry::new(item, validate, task_support))
            })
            .collect();
        let backends = parts.iter().map(Backend::of_part).collect();
        Self {
            warnings: warnings.into_vec(),
            ..Self::assemble(generation, settings.page_size, items, tools, backends)
        }
    }

    /// Builds what can be looked up from what can be seen.
    pub(super) fn assemble(
        generation: u64,
        page_size: usize,
        items: [Vec<Item>; 5],
        tools: HashMap<Arc<str>, Arc<ToolEntry>>,
        backends: Vec<Backend>,
    ) -> Self {
        let mut kinds = ListKind::ALL.into_iter();
        let lists = items.map(|items| List::new(kinds.next().unwrap_or(ListKind::Tools), items, page_size));
        let owners = Owners::new(
            backends.iter().map(|backend| backend.owner.clone()).collect(),
            &lists[index(ListKind::Resources)],
            &lists[index(ListKind::ResourceTemplates)],
            &lists[index(ListKind::Tools)],
            &lists[index(ListKind::Skills)],
        );
        let said = backends.iter().filter_map(Backend::instructions).collect::<Vec<_>>();
        let instructions = instructions::merge(&said);
        let shown_tools = Default::default();
        Self {
            generation,
            page_size,
            lists,
            shown_tools,
            tools,
            owners,
            backends,
            instructions,
            warnings: Vec::new(),
        }
    }

    /// Counts up with every merge, whether or not clients see a difference.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts a change of what clients see.
    pub fn advance(&mut self) {
        self.generation += 1;
    }

    /// The tool of this qualified name.
    pub fn tool(&self, qualified: &str) -> Option<&Arc<ToolEntry>> {
        self.tools.get(qualified)
    }

    /// All tools in list order.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<ToolEntry>> {
        let items = self.list(ListKind::Tools).items().iter();
        items.filter_map(|item| self.tools.get(&item.route.qualified))
    }

    /// The prompt of this qualified name.
    pub fn prompt(&self, qualified: &str) -> Option<&Route> {
        self.list(ListKind::Prompts).find(qualified).map(|item| &item.route)
    }

    /// Whom to ask for the resource at `uri`, as a client spells it; `None` when nobody owns it.
    pub fn resource(&self, uri: &str) -> Option<Route> {
        let listed = self.list(ListKind::Resources).find(uri);
        listed.map(|item| item.route.clone()).or_else(|| self.owners.of_unlisted(uri))
    }

    /// Whom to ask for a resource that is in no list and fits no template: the only backend that can have it.
    pub fn unlisted_resource(&self, uri: &str) -> Option<Route> {
        self.owners.only_candidate(uri)
    }

    /// Whom to ask for a tool or prompt that is in no list: the backend whose prefix it has, if that one declares
    /// some and lists none, or an only backend without a prefix. Otherwise a name that is in no list is a mistake of
    /// the caller, who is better helped by the names that are.
    pub fn unlisted(&self, kind: ListKind, qualified: &str) -> Option<Route> {
        let is_only = self.backends.len() == 1 && !self.owners.is_partial;
        Backend::of_name(&self.backends, qualified)?.unlisted(kind, qualified, is_only)
    }

    /// Whether what this backend offers, or last offered, is part of the catalog.
    pub fn knows(&self, backend: &str) -> bool {
        self.backends.iter().any(|known| &*known.owner.backend == backend)
    }

    /// The same catalog, with whether there are backends of which nothing is known.
    #[must_use]
    pub fn partial(mut self, is_partial: bool) -> Self {
        self.owners.is_partial = is_partial;
        self
    }

    /// The template of this text, as listed (completion's `ref/resource`).
    pub fn resource_template(&self, template: &str) -> Option<&Route> {
        self.list(ListKind::ResourceTemplates).find(template).map(|item| &item.route)
    }

    /// How clients must spell `local`, a URI that stood in something `backend` sent. Web addresses
    /// that no backend lists stay as they are: clients fetch them themselves.
    pub fn shown_uri<'a>(&self, backend: &str, local: &'a str) -> Cow<'a, str> {
        self.owners.shown(backend, local).map_or(Cow::Borrowed(local), Cow::Owned)
    }

    /// How `backend` itself spells a URI in which it may have normalised what it lists.
    pub fn own_uri<'a>(&self, backend: &str, uri: &'a str) -> Cow<'a, str> {
        self.owners.own_spelling(backend, uri).unwrap_or(Cow::Borrowed(uri))
    }

    /// Whether clients see any of `backend`'s listed resources or templates under a URI of ours.
    pub fn has_marked_uris(&self, backend: &str) -> bool {
        self.owners.has_marked(backend)
    }

    /// Up to `max` names (for resources: URIs) that `name` may have been meant to be, likeliest first.
    pub fn nearest(&self, kind: ListKind, name: &str, max: usize) -> Vec<&str> {
        let routes = self.list(kind).items().iter().map(|item| &item.route);
        nearest::nearest(name, routes.map(|route| (&*route.qualified, &*route.local)), max)
    }

    /// The page of a list that `cursor` asks for, as `audience` sees it; the first one without.
    ///
    /// # Errors
    /// A cursor (an empty one too) that does not continue this list as it is now.
    pub fn page(&self, kind: ListKind, audience: Audience, cursor: Option<&str>) -> Result<Page, BadCursor> {
        self.shown(kind, audience).page(cursor)
    }

    fn shown(&self, kind: ListKind, audience: Audience) -> &List {
        if kind != ListKind::Tools {
            return self.list(kind);
        }
        let shown = self.shown_tools[audience.index()].get_or_init(|| self.trimmed(audience));
        shown.as_ref().unwrap_or_else(|| self.list(kind))
    }

    /// The tools for an audience that does not see all of them as they are.
    fn trimmed(&self, audience: Audience) -> Option<List> {
        let mut is_trimmed = false;
        let mut items = Vec::new();
        for item in self.list(ListKind::Tools).items() {
            let shown = audience.show(&item.entry);
            is_trimmed |= shown != Shown::AsItIs;
            match shown {
                Shown::AsItIs => items.push(item.clone()),
                Shown::Changed(entry) => items.push(Item { entry, ..item.clone() }),
                Shown::NotAtAll => {}
            }
        }
        is_trimmed.then(|| List::new(ListKind::Tools, items, self.page_size))
    }

    /// The lists in which clients see a difference to `old`.
    pub fn changed_since(&self, old: &Self) -> Vec<ListKind> {
        ListKind::ALL.into_iter().filter(|kind| !self.list(*kind).is_same(old.list(*kind))).collect()
    }

    /// What a model is told about all backends, at most [`MAX_INSTRUCTIONS`](super::MAX_INSTRUCTIONS) bytes.
    pub fn instructions(&self) -> Option<&str> {
        self.instructions.as_deref()
    }

    /// The backends whose part may be out of date.
    pub fn stale(&self) -> impl Iterator<Item = &str> {
        self.backends.iter().filter(|backend| backend.stale).map(|backend| &*backend.owner.backend)
    }

    /// What the merge could not do as expected.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Each backend's share, in configuration order.
    pub fn summaries(&self) -> impl Iterator<Item = (&str, BackendSummary)> {
        let mut shares: HashMap<&str, BackendSummary> = HashMap::new();
        for (kind, list) in ListKind::ALL.into_iter().zip(&self.lists) {
            for item in list.items() {
                let share = shares.entry(&*item.route.backend).or_default();
                share.count(kind);
            }
        }
        for tool in self.tools() {
            shares.entry(&*tool.route.backend).or_default().tokens += tool.tokens;
        }
        self.backends.iter().map(move |backend| {
            let name = &*backend.owner.backend;
            (name, shares.get(name).copied().unwrap_or_default())
        })
    }

    pub(super) fn list(&self, kind: ListKind) -> &List {
        &self.lists[index(kind)]
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self::empty()
    }
}

/// Where `kind` stands in [`ListKind::ALL`], which has the order of the enumeration.
fn index(kind: ListKind) -> usize {
    kind as usize
}
