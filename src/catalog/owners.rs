//! Which backend owns a URI?
//!
//! In this order: the backend that lists it, by its exact spelling and then by its [normal form](normal_uri); for a
//! user interface, the backend whose tool has a link to it; for what is in a skill, the backend that has the skill; the
//! backend it is marked with, if that one knows the rest; the most specific template that could have made it, by exact
//! spelling and then by normal form; the backend it is marked with, for links that stood in a result and in no list.
//! What is in no list and fits no template belongs to the only backend that has resources of its scheme, or to the only
//! one that has resources at all. Nobody else is ever asked: a read that is tried on every backend tells all of them
//! what one was meant to know.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::app_links;
use super::owner::{Owner, Template};
use super::pages::List;
use super::route::{Item, Route};
use super::skills;
use super::uris;
use crate::protocol::{self, normal_uri, uri_scheme};

/// Longest URI compared with templates, in bytes.
const MAX_MATCHED: usize = 8 * 1024;

/// The owners of a catalog's URIs, by slug.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_slug: HashMap<String, Owner>,
    /// Whether nothing is known of some backend: it may have what no other one lists.
    pub(super) is_partial: bool,
    /// Normal form → the first that is listed of that form, user interfaces in no list included.
    by_normal: HashMap<String, Route>,
    /// Most specific first; slug of the owner.
    templates: Vec<(Template, String)>,
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
        let mut by_normal = HashMap::new();
        for Item { route, .. } in resources.items() {
            if let Some(owner) = by_slug.get_mut(&uris::slug(&route.backend)) {
                owner.list(route);
            }
            by_normal.entry(normal_uri(&route.qualified)).or_insert_with(|| route.clone());
        }
        let mut unmarked = Vec::new();
        for Item { route, .. } in templates.items() {
            let slug = uris::slug(&route.backend);
            let template = Template::parse(&route.local);
            if let Some(owner) = by_slug.get_mut(&slug) {
                owner.templates.push(template.clone());
            }
            if route.local == route.qualified {
                unmarked.push((template, slug));
            }
        }
        unmarked.sort_by_key(|(template, _)| std::cmp::Reverse(template.exact.specificity()));
        let routes = resources.items().iter().chain(templates.items()).map(|item| &item.route);
        let marked = routes.filter(|route| route.local != route.qualified);
        let marking = marked.map(|route| route.backend.clone()).collect();
        let (linked, in_skills) = (HashMap::new(), HashMap::new());
        let mut owners = Self {
            by_slug,
            is_partial: false,
            by_normal,
            templates: unmarked,
            linked,
            skills: in_skills,
            marking,
        };
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
        let route = owner.route(local, link);
        owner.list(&route);
        self.by_normal.entry(normal_uri(link)).or_insert(route);
        if local == link {
            self.linked.insert(link.to_owned(), slug);
        } else {
            self.marking.insert(Arc::clone(backend));
        }
    }

    /// The backend to ask for `uri`, given that nobody lists just this spelling.
    pub(super) fn of_unlisted(&self, uri: &str) -> Option<Route> {
        if uri.len() > MAX_MATCHED {
            return None;
        }
        if let Some(owner) = self.linked.get(uri).and_then(|slug| self.by_slug.get(slug)) {
            return Some(owner.route(uri, uri));
        }
        let normal = normal_uri(uri);
        if let Some(listed) = self.by_normal.get(&normal) {
            return Some(Route { qualified: uri.into(), ..listed.clone() });
        }
        if let Some(route) = self.by_skill(uri) {
            return Some(route);
        }
        let marked = self.marked(uri);
        let known = marked.and_then(|(owner, rest)| Some(owner.route(&owner.known(rest)?, uri)));
        let made = known.or_else(|| self.by_template(uri)).or_else(|| self.by_normal_template(uri, &normal));
        made.or_else(|| {
            marked.filter(|(owner, rest)| owner.may_be_asked(rest)).map(|(o, rest)| o.route(rest, uri))
        })
    }

    /// The only backend that can have `uri`, which is in no list and fits no template.
    pub(super) fn only_candidate(&self, uri: &str) -> Option<Route> {
        if uri.len() > MAX_MATCHED || self.marked(uri).is_some() {
            return None;
        }
        let scheme = uri_scheme(uri);
        let has_scheme =
            |owner: &&Owner| scheme.as_ref().is_some_and(|scheme| owner.schemes.contains(scheme));
        let with_scheme: Vec<&Owner> = self.by_slug.values().filter(has_scheme).collect();
        let candidates = match with_scheme.is_empty() {
            // A backend that was never reached may be the one.
            true if self.is_partial => Vec::new(),
            true => self.by_slug.values().filter(|owner| owner.offers_resources).collect(),
            false => with_scheme,
        };
        let [only] = candidates.as_slice() else { return None };
        only.may_be_asked(uri).then(|| only.route(uri, uri))
    }

    /// How `backend` spells `uri` where it knows it by a list, a template or a skill.
    pub(super) fn own_spelling<'a>(&self, backend: &str, uri: &'a str) -> Option<Cow<'a, str>> {
        self.by_slug.get(&uris::slug(backend))?.known(uri)
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
        let normal = normal_uri(local);
        if let Some(listed) = self.by_slug.get(&slug).and_then(|owner| owner.listed_normal.get(&normal)) {
            // The client's own spelling leads back as well, unless another backend has it.
            let is_first = self.by_normal.get(&normal).is_some_and(|route| &*route.backend == backend);
            return (!is_first).then(|| listed.qualified.to_string());
        }
        let found = self.by_skill(local).or_else(|| self.by_template(local));
        let found = found.or_else(|| self.by_normal_template(local, &normal));
        // What would be asked of this backend anyway needs no mark.
        let found = found.or_else(|| self.only_candidate(local));
        let is_reachable = found.is_some_and(|route| &*route.backend == backend);
        // Nor where there is nobody else whose it could be.
        let is_alone = self.by_slug.len() == 1 && !self.is_partial;
        (!is_reachable && !is_alone && !uris::is_web(local)).then(|| uris::marked(&slug, local))
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
        let matching = self.templates.iter().filter(|(template, _)| template.exact.matches(uri));
        let mut owners = matching.filter_map(|(_, slug)| self.by_slug.get(slug));
        owners.find(|owner| owner.lets_through(uri)).map(|owner| owner.route(uri, uri))
    }

    fn by_normal_template(&self, uri: &str, normal: &str) -> Option<Route> {
        self.templates.iter().find_map(|(template, slug)| {
            let (own, owner) = (template.own_spelling(normal)?, self.by_slug.get(slug)?);
            owner.lets_through(&own).then(|| owner.route(&own, uri))
        })
    }
}
