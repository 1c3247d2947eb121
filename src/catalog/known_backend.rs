//! What does the catalog keep of a backend besides its entries?

use std::sync::Arc;

use super::instructions::Instructions;
use super::merge::Part;
use super::names::SEPARATOR;
use super::owner::Owner;
use super::route::Route;
use crate::protocol::ListKind;

/// What the catalog keeps of a backend besides its entries.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) owner: Owner,
    pub(super) prefix: String,
    pub(super) instructions: Option<String>,
    pub(super) stale: bool,
    /// Whether it declares tools, and prompts, and lists none: then it has what no list names, if it has any.
    lists_none: [bool; 2],
}

impl Backend {
    pub(super) fn of_part(part: &Part<'_>) -> Self {
        let listing = part.source.listing;
        let declares = |list: &str| {
            let declared = listing.capabilities.as_ref().and_then(|declared| declared.get(list));
            declared.is_some_and(|declared| declared.is_object())
        };
        Self {
            owner: Owner::new(part.backend.clone(), part.exposure.clone(), listing),
            lists_none: [
                declares("tools") && listing.tools.is_empty(),
                declares("prompts") && listing.prompts.is_empty(),
            ],
            prefix: part.source.exposure.prefix.clone(),
            instructions: listing.instructions.clone(),
            stale: part.source.stale,
        }
    }

    /// The one to which `qualified` belongs by its prefix, the longest that fits; without a prefix the only one that
    /// has none.
    pub(super) fn of_name<'a>(backends: &'a [Self], qualified: &str) -> Option<&'a Self> {
        let prefixed = backends.iter().filter(|backend| !backend.prefix.is_empty());
        let fitting = prefixed.filter(|backend| backend.local(qualified).is_some());
        fitting.max_by_key(|backend| backend.prefix.len()).or_else(|| {
            let mut plain = backends.iter().filter(|backend| backend.prefix.is_empty());
            plain.next().filter(|_| plain.next().is_none())
        })
    }

    /// `qualified` without the prefix.
    fn local<'a>(&self, qualified: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            return Some(qualified);
        }
        qualified.strip_prefix(&self.prefix)?.strip_prefix(SEPARATOR).filter(|local| !local.is_empty())
    }

    pub(super) fn instructions(&self) -> Option<Instructions<'_>> {
        let text = self.instructions.as_deref()?;
        Some(Instructions { backend: &self.owner.backend, prefix: &self.prefix, text })
    }

    /// Where a name leads that is in no list; `is_only` says that no other backend can have it.
    pub(super) fn unlisted(&self, kind: ListKind, qualified: &str, is_only: bool) -> Option<Route> {
        let is_transparent = is_only && self.prefix.is_empty();
        let may_have_it = is_transparent || self.lists_none[usize::from(kind == ListKind::Prompts)];
        let local = self.local(qualified).filter(|local| may_have_it && self.owner.shows_name(local))?;
        Some(Route {
            backend: Arc::clone(&self.owner.backend),
            local: local.into(),
            qualified: qualified.into(),
        })
    }
}
