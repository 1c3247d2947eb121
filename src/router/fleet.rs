//! Which backends there are, and what was last known of each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::{Backend, CacheHint, Offer, State};
use crate::catalog::{ExposureSettings, KeptListing, Listing, SEPARATOR, unmark_uri, uri_slug};
use crate::protocol::{Era, ListKind, RawJson, Revision, skills, tasks};

use super::target::Named;

/// One backend with all that the router knows of it.
#[derive(Clone)]
pub struct Member {
    /// The backend.
    pub backend: Arc<Backend>,
    /// How its entries appear.
    pub exposure: ExposureSettings,
    /// Digest of how it is reached; a kept listing of another identity is another server's.
    pub identity: String,
    /// What it offered before the gateway was started.
    pub kept: Option<KeptListing>,
}

impl Member {
    /// What clients see of it, and whether that may be out of date.
    pub(super) fn listing(&self) -> Option<(Listing, bool)> {
        match self.backend.offer() {
            Some(offer) => Some((listing_of(&offer), !matches!(self.backend.state(), State::Ready(_)))),
            None => self.kept.as_ref().map(|kept| (kept.listing.clone(), true)),
        }
    }

    /// What it says of keeping one of its lists; `None` if it is known to have none.
    pub(super) fn caching_of(&self, kind: ListKind) -> Option<CacheHint> {
        let is_current = matches!(self.backend.state(), State::Ready(_));
        match self.backend.offer().filter(|_| is_current) {
            Some(offer) => offer.caching_of(kind).map(|hint| hint.after(self.backend.fetched_ago())),
            // What it lists will change once it is there.
            None => Some(CacheHint::NONE),
        }
    }

    /// Whether it is worth asking to tell when a resource changes: it says, or last said, that it does. Legacy
    /// servers may without saying so, and refuse by themselves if they do not.
    pub(super) fn can_tell_of_updates(&self) -> bool {
        if self.backend.tells_legacy_clients() {
            return true;
        }
        let resources = self.capabilities().and_then(|capabilities| capabilities.get("resources"));
        let Some(resources) = resources else { return false };
        let is_declared = resources.get("subscribe").is_some_and(|flag| flag.as_str() == "true");
        is_declared || self.backend.known_era() == Some(Era::Legacy)
    }

    /// Whether it says, or last said, that calls may go on as tasks.
    pub(super) fn makes_tasks(&self) -> bool {
        let is_legacy = self.backend.known_era() == Some(Era::Legacy);
        self.capabilities().is_some_and(|capabilities| match is_legacy {
            true => tasks::are_taken(Revision::V2025_11_25, &capabilities),
            false => tasks::are_declared(&capabilities),
        })
    }

    /// What it says, or last said, of its skills.
    pub(super) fn skills(&self) -> Option<RawJson> {
        let is_legacy = self.backend.known_era() == Some(Era::Legacy);
        skills::declared(&self.capabilities()?).filter(|_| !is_legacy)
    }

    /// Whether it was never reached, and no copy of what it offered is kept.
    pub(super) fn is_unknown(&self) -> bool {
        self.kept.is_none() && self.backend.offer().is_none()
    }

    /// What it declares, or last declared.
    pub(super) fn capabilities(&self) -> Option<RawJson> {
        let offered = self.backend.offer().and_then(|offer| offer.capabilities.clone());
        offered.or_else(|| self.kept.as_ref().and_then(|kept| kept.listing.capabilities.clone()))
    }

    /// What to keep for the next start.
    pub fn to_keep(&self) -> Option<KeptListing> {
        let Some(offer) = self.backend.offer() else { return self.kept.clone() };
        Some(KeptListing {
            identity: self.identity.clone(),
            is_legacy: self.backend.known_era() == Some(Era::Legacy),
            fetched_at: self.backend.snapshot().fetched_at.unwrap_or_default(),
            listing: listing_of(&offer),
        })
    }
}

fn listing_of(offer: &Offer) -> Listing {
    Listing {
        tools: offer.tools.clone(),
        prompts: offer.prompts.clone(),
        resources: offer.resources.clone(),
        resource_templates: offer.resource_templates.clone(),
        skills: offer.skills.clone(),
        instructions: offer.instructions.clone(),
        capabilities: offer.capabilities.clone(),
    }
}

/// All backends, in the order of the configuration.
#[derive(Default)]
pub struct Fleet {
    members: Vec<Member>,
    by_name: HashMap<String, usize>,
}

impl Fleet {
    /// A fleet of these members.
    pub fn new(members: Vec<Member>) -> Self {
        let by_name =
            members.iter().enumerate().map(|(at, member)| (member.backend.name().to_owned(), at)).collect();
        Self { members, by_name }
    }

    /// In order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The only backend, if there is just one and all that it has is for clients.
    pub(super) fn sole(&self) -> Option<&Member> {
        let [member] = self.members.as_slice() else { return None };
        (member.exposure.expose.is_empty() && member.exposure.hide.is_empty()).then_some(member)
    }

    /// Whether nothing is known of some backend.
    pub(super) fn is_partial(&self) -> bool {
        self.members.iter().any(Member::is_unknown)
    }

    /// The backend of which nothing is known and to which `named` must belong.
    pub(super) fn unknown_owner(&self, named: &Named) -> Option<&Member> {
        let owner = match named {
            Named::Name(name) => self.owner_of_name(name),
            Named::Uri(uri) => self.unknown_owner_of_uri(uri),
        };
        owner.filter(|member| member.is_unknown())
    }

    /// By the longest prefix that fits; without one, the only backend that has none.
    fn owner_of_name(&self, name: &str) -> Option<&Member> {
        let prefix = |member: &&Member| {
            let prefix = &member.exposure.prefix;
            let local = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(SEPARATOR));
            !prefix.is_empty() && local.is_some()
        };
        let fitting = self.members.iter().filter(prefix);
        fitting.max_by_key(|member| member.exposure.prefix.len()).or_else(|| {
            let mut plain = self.members.iter().filter(|member| member.exposure.prefix.is_empty());
            plain.next().filter(|_| plain.next().is_none())
        })
    }

    /// By its mark; without one, the only unknown backend while no other has resources.
    fn unknown_owner_of_uri(&self, uri: &str) -> Option<&Member> {
        let slug = unmark_uri(uri).map(|(slug, _)| slug);
        let marked = self.members.iter().find(|member| slug == Some(&*uri_slug(member.backend.name())));
        let has_resources = |member: &Member| {
            let declared = member.capabilities().and_then(|declared| declared.get("resources"));
            declared.is_some_and(|declared| declared.is_object())
        };
        marked.or_else(|| {
            let mut unknown = self.members.iter().filter(|member| member.is_unknown());
            let only = unknown.next().filter(|_| unknown.next().is_none());
            only.filter(|_| !self.members.iter().any(has_resources))
        })
    }

    /// The one of this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.by_name.get(name).and_then(|at| self.members.get(*at))
    }

    pub(super) fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.member(name).map(|member| &member.backend)
    }
}
