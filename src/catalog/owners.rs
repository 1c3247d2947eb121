//! Which backend owns a URI?
//!
//! In this order: the backend that lists it; for a user interface, the backend whose tool has a link to it; for what
//! is in a skill, the backend that has the skill; the backend it is marked with, if that one knows the rest; the most
//! specific template that could have made it; the backend it is marked with, for links that stood in a result and in no
//! list. Nobody else is ever asked: a read that is tried on every backend tells all of them what one was meant to know.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::app_links;
use super::exposure::Exposure;
use super::pages::List;
use super::route::{Item, Route};
use super::skills;
use super::uris;
use crate::protocol::{self, UriTemplate};

/// Longest URI compared with templates, in bytes.
const MAX_MATCHED: usize = 8 * 1024;

/// What one backend answers for.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) backend: Arc<str>,
    pub(super) exposure: Arc<Exposure>,
    /// Local URIs this view must not reach although the backend has them.
    pub(super) denied: HashSet<Arc<str>>,
    /// Whether URIs that are in no list may be asked for.
    pub(super) is_open: bool,
    /// Local URI → as clients see it, what tools have links to included.
    listed: HashMap<Arc<str>, Arc<str>>,
    templates: Vec<UriTemplate>,
    /// The directories of its skills.
    skills: HashSet<String>,
}

impl Owner {
    pub(super) fn new(backend: Arc<str>, exposure: Arc<Exposure>) -> Self {
        let (listed, templates, skills) = (HashMap::new(), Vec::new(), HashSet::new());
        Self { backend, exposure, denied: HashSet::new(), is_open: true, listed, templates, skills }
    }

    fn knows(&self, uri: &str) -> bool {
        self.listed.contains_key(uri)
            || (self.lets_through(uri)
                && (self.templates.iter().any(|template| template.matches(uri))
                    || skills::containing(uri).any(|directory| self.skills.contains(directory))))
    }

    fn lets_through(&self, uri: &str) -> bool {
        !self.denied.contains(uri) && !self.exposure.hides(&[uri])
    }

    fn may_be_asked(&self, uri: &str) -> bool {
        self.is_open && !self.denied.contains(uri) && self.exposure.shows(&[uri])
    }

    fn route(&self, local: &str, qualified: &str) -> Route {
        Route { backend: self.backend.clone(), local: local.into(), qualified: qualified.into() }
    }
}

/// The owners of a catalog's URIs, by slug.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_slug: HashMap<String, Owner>,
    /// Most specific first; slug of the owner.
    templates: Vec<(UriTemplate, String)>,
    /// User interfaces in no list → slug of the backend whose tool has a link to it.
    linked: HashMap<String, String>,
    /// Directories of skills → slug of the backend that has them.
    skills: HashMap<String, String>,
    /// The backends of which clients know a URI or template by another name.
    marking: HashSet<Arc<str>>,
}

impl Owners {
    pub(super) fn new(
        owners: Vec<Owner>,
        resources: &List,
        templates: &List,
        tools: &List,
        skills: &List,
    ) -> Self {
        let mut by_slug: HashMap<String, Owner> =
            owners.into_iter().map(|owner| (uris::slug(&owner.backend), owner)).collect();
        for Item { route, .. } in resources.items() {
            if let Some(owner) = by_slug.get_mut(&uris::slug(&route.backend)) {
                owner.listed.insert(route.local.clone(), route.qualified.clone());
            }
        }
        let mut unmarked = Vec::new();
        for Item { route, .. } in templates.items() {
            let slug = uris::slug(&route.backend);
            let template = UriTemplate::parse(&route.local);
            if let Some(owner) = by_slug.get_mut(&slug) {
                owner.templates.push(template.clone());
            }
            if route.local == route.qualified {
                unmarked.push((template, slug));
            }
        }
        unmarked.sort_by_key(|(template, _)| std::cmp::Reverse(template.specificity()));
        let routes = resources.items().iter().chain(templates.items()).map(|item| &item.route);
        let marked = routes.filter(|route| route.local != route.qualified);
        let marking = marked.map(|route| route.backend.clone()).collect();
        let (linked, in_skills) = (HashMap::new(), HashMap::new());
        let mut owners = Self { by_slug, templates: unmarked, linked, skills: in_skills, marking };
        skills.items().iter().for_each(|Item { route, .. }| owners.enter_skill(route));
        for Item { route, entry } in tools.items() {
            app_links::of(entry).iter().for_each(|link| owners.link(&route.backend, link, resources));
        }
        owners
    }

    fn enter_skill(&mut self, route: &Route) {
        let slug = uris::slug(&route.backend);
        let Some((root, owner)) = protocol::skills::root(&route.local).zip(self.by_slug.get_mut(&slug))
        else {
            return;
        };
        owner.skills.insert(root.to_owned());
        if route.local == route.qualified {
            self.skills.insert(root.to_owned(), slug);
        } else {
            self.marking.insert(Arc::clone(&route.backend));
        }
    }

    /// Enters the link of a tool of `backend`, spelt as clients see it, if it is in no list.
    fn link(&mut self, backend: &Arc<str>, link: &str, resources: &List) {
        let slug = uris::slug(backend);
        let Some(owner) = self.by_slug.get_mut(&slug) else { return };
        let local = uris::unmark(link).filter(|(marked, _)| *marked == slug).map_or(link, |(_, rest)| rest);
        let is_new = !owner.listed.contains_key(local) && resources.find(link).is_none();
        if !(is_new && local.starts_with(app_links::SCHEME) && owner.lets_through(local)) {
            return;
        }
        owner.listed.insert(local.into(), link.into());
        if local == link {
            self.linked.insert(link.to_owned(), slug);
        } else {
            self.marking.insert(Arc::clone(backend));
        }
    }

    /// The backend to ask for `uri`, given that nobody lists it.
    pub(super) fn of_unlisted(&self, uri: &str) -> Option<Route> {
        if uri.len() > MAX_MATCHED {
            return None;
        }
        if let Some(owner) = self.linked.get(uri).and_then(|slug| self.by_slug.get(slug)) {
            return Some(owner.route(uri, uri));
        }
        if let Some(route) = self.by_skill(uri) {
            return Some(route);
        }
        let marked = self.marked(uri);
        let known = marked.filter(|(owner, rest)| owner.knows(rest));
        known.map(|(owner, rest)| owner.route(rest, uri)).or_else(|| self.by_template(uri)).or_else(|| {
            marked.filter(|(owner, rest)| owner.may_be_asked(rest)).map(|(o, rest)| o.route(rest, uri))
        })
    }

    pub(super) fn has_marked(&self, backend: &str) -> bool {
        self.marking.contains(backend)
    }

    /// How clients must spell `local`, a URI that stood in something `backend` said.
    pub(super) fn shown(&self, backend: &str, local: &str) -> Option<String> {
        let slug = uris::slug(backend);
        if let Some(qualified) = self.by_slug.get(&slug).and_then(|owner| owner.listed.get(local)) {
            return Some(qualified.to_string());
        }
        let found = self.by_skill(local).or_else(|| self.by_template(local));
        let is_reachable = found.is_some_and(|route| &*route.backend == backend);
        (!is_reachable && !uris::is_web(local)).then(|| uris::marked(&slug, local))
    }

    fn marked<'a>(&self, uri: &'a str) -> Option<(&Owner, &'a str)> {
        let (slug, rest) = uris::unmark(uri)?;
        Some((self.by_slug.get(slug)?, rest))
    }

    fn by_skill(&self, uri: &str) -> Option<Route> {
        let slug = skills::containing(uri).find_map(|directory| self.skills.get(directory))?;
        let owner = self.by_slug.get(slug).filter(|owner| owner.lets_through(uri))?;
        Some(owner.route(uri, uri))
    }

    fn by_template(&self, uri: &str) -> Option<Route> {
        let matching = self.templates.iter().filter(|(template, _)| template.matches(uri));
        let mut owners = matching.filter_map(|(_, slug)| self.by_slug.get(slug));
        owners.find(|owner| owner.lets_through(uri)).map(|owner| owner.route(uri, uri))
    }
}
