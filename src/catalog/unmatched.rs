//! Which of an operator's settings about entries name nothing that the backend offers?
//!
//! A misspelt `hide` shows what was meant to be hidden, so it is said aloud.

use std::collections::BTreeSet;

use super::exposure::Pattern;
use super::merge::Part;
use super::warning::{Problem, Warnings};
use crate::protocol::ListKind;

/// Warns of every pattern and name in one backend's settings that fits none of its entries.
pub(super) fn check(part: &Part<'_>, warnings: &mut Warnings) {
    let settings = part.source.exposure;
    let named = keys(part, &[ListKind::Tools, ListKind::Prompts]);
    let tools = keys(part, &[ListKind::Tools]);
    let all = keys(part, &ListKind::ALL);
    let mut warn = |setting: &'static str, text: &str| {
        warnings.add(&part.backend, ListKind::Tools, text, Problem::Unmatched(setting));
    };
    for (setting, patterns) in [("expose", &settings.expose), ("hide", &settings.hide)] {
        for pattern in patterns.iter().filter(|pattern| !Pattern::new(pattern).matches_any(&all)) {
            warn(setting, pattern);
        }
    }
    for pattern in settings.tools.iter().filter(|pattern| !Pattern::new(pattern).matches_any(&tools)) {
        warn("tools", pattern);
    }
    for local in settings.rename.keys().filter(|local| !named.contains(*local)) {
        warn("rename", local);
    }
    for local in settings.description.keys().filter(|local| !tools.contains(*local)) {
        warn("description", local);
    }
}

/// Every name and URI in these lists.
fn keys(part: &Part<'_>, kinds: &[ListKind]) -> BTreeSet<String> {
    let entries = kinds.iter().flat_map(|kind| part.source.listing.get(*kind));
    let texts = entries.flat_map(|entry| ["name", "uri", "uriTemplate"].map(|key| entry.get(key)));
    texts.flatten().filter_map(|text| text.string().map(String::from)).collect()
}
