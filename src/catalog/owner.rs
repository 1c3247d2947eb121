//! What does one backend answer for?

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::exposure::Exposure;
use super::listing::Listing;
use super::route::Route;
use super::skills;
use crate::protocol::{RawJson, UriTemplate, normal_uri, uri_scheme};

/// What one backend answers for.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) backend: Arc<str>,
    exposure: Arc<Exposure>,
    /// Local URIs, and their normal forms, that must not be reached although the backend has them.
    denied: HashSet<Arc<str>>,
    /// Whether URIs that are in no list may be asked for.
    is_open: bool,
    pub(super) offers_resources: bool,
    /// The schemes of its resources and templates, shown or not.
    pub(super) schemes: HashSet<String>,
    /// Local URI → as clients see it, what tools have links to included.
    pub(super) listed: HashMap<Arc<str>, Arc<str>>,
    /// The same by the normal form of the local URI, with the local URI.
    pub(super) listed_normal: HashMap<String, Route>,
    pub(super) templates: Vec<Template>,
    /// The directories of its skills.
    pub(super) skills: HashSet<String>,
}

impl Owner {
    pub(super) fn new(backend: Arc<str>, exposure: Arc<Exposure>, listing: &Listing) -> Self {
        let declared = listing.capabilities.as_ref().and_then(|declared| declared.get("resources"));
        let mut owner = Self {
            backend,
            exposure,
            denied: HashSet::new(),
            is_open: true,
            offers_resources: declared.is_some_and(|declared| declared.is_object()),
            schemes: HashSet::new(),
            listed: HashMap::new(),
            listed_normal: HashMap::new(),
            templates: Vec::new(),
            skills: HashSet::new(),
        };
        listing.resources.iter().for_each(|entry| owner.note(entry, "uri"));
        listing.resource_templates.iter().for_each(|entry| owner.note(entry, "uriTemplate"));
        owner
    }

    /// Takes note of an entry of the backend's own lists.
    fn note(&mut self, entry: &RawJson, member: &str) {
        let text = |member| entry.get(member).and_then(|text| text.string().map(String::from));
        let Some(key) = text(member) else { return };
        self.offers_resources = true;
        self.schemes.extend(uri_scheme(&key));
        if self.exposure.hides_anything() {
            let name = text("name").unwrap_or_default();
            if self.exposure.hides(&[&key, &name]) {
                self.deny(&key);
            }
        }
    }

    /// What is denied is not reached under any spelling, template or mark.
    pub(super) fn deny(&mut self, uri: &str) {
        self.denied.insert(normal_uri(uri).into());
        self.denied.insert(uri.into());
    }

    /// Refuses every URI that is in no list.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    fn denies(&self, uri: &str) -> bool {
        !self.denied.is_empty()
            && (self.denied.contains(uri) || self.denied.contains(normal_uri(uri).as_str()))
    }

    pub(super) fn list(&mut self, route: &Route) {
        let normal = normal_uri(&route.local);
        self.listed_normal.entry(normal).or_insert_with(|| route.clone());
        self.listed.insert(Arc::clone(&route.local), Arc::clone(&route.qualified));
    }

    /// How the backend spells a URI that it knows by a list, a template or a skill.
    pub(super) fn known<'a>(&self, uri: &'a str) -> Option<Cow<'a, str>> {
        if self.listed.contains_key(uri) {
            return Some(Cow::Borrowed(uri));
        }
        let normal = normal_uri(uri);
        if let Some(route) = self.listed_normal.get(&normal) {
            return Some(Cow::Owned(route.local.to_string()));
        }
        let is_in_skill = || skills::containing(uri).any(|directory| self.skills.contains(directory));
        let is_made = || self.templates.iter().any(|template| template.exact.matches(uri));
        if self.lets_through(uri) && (is_made() || is_in_skill()) {
            return Some(Cow::Borrowed(uri));
        }
        let made = self.templates.iter().find_map(|template| template.own_spelling(&normal));
        made.filter(|own| self.lets_through(own)).map(Cow::Owned)
    }

    pub(super) fn lets_through(&self, uri: &str) -> bool {
        !self.denies(uri) && !self.exposure.hides_uri(uri)
    }

    pub(super) fn may_be_asked(&self, uri: &str) -> bool {
        self.is_open && !self.denies(uri) && self.exposure.shows_uri(uri)
    }

    /// Whether a tool or prompt that is in no list may be asked for.
    pub(super) fn shows_name(&self, local: &str) -> bool {
        self.is_open && self.exposure.shows(&[local])
    }

    pub(super) fn route(&self, local: &str, qualified: &str) -> Route {
        Route { backend: self.backend.clone(), local: local.into(), qualified: qualified.into() }
    }
}

/// A template, and those of the normal forms of what it makes.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) exact: UriTemplate,
    normal: Vec<UriTemplate>,
}

impl Template {
    pub(super) fn parse(text: &str) -> Self {
        let exact = UriTemplate::parse(text);
        Self { normal: exact.normal_forms(), exact }
    }

    /// What the template makes whose normal form is `normal`.
    pub(super) fn own_spelling(&self, normal: &str) -> Option<String> {
        self.normal.iter().find_map(|form| self.exact.made_with_values_of(form, normal))
    }
}
