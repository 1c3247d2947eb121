//! Which of a backend's entries may clients see?

use std::collections::BTreeSet;

use globset::{Glob, GlobSet, GlobSetBuilder, escape};

use super::settings::ExposureSettings;
use crate::protocol::{has_dot_segments, uri_variants};

/// The globs of one backend, compiled.
///
/// `*` also stands for `/`, so that a glob over URIs needs no `**`. An entry with two keys (a
/// resource has a URI and a name) is seen when either is exposed and neither is hidden.
#[derive(Debug, Clone)]
pub(super) struct Exposure {
    expose: Option<GlobSet>,
    hide: GlobSet,
}

impl Exposure {
    pub(super) fn new(settings: &ExposureSettings) -> Self {
        let expose =
            (!settings.expose.is_empty()).then(|| compile(settings.expose.iter().map(String::as_str)));
        Self { expose, hide: compile(settings.hide.iter().map(String::as_str)) }
    }

    /// Whether the entry known by `keys` is seen.
    pub(super) fn shows(&self, keys: &[&str]) -> bool {
        let exposed = self.expose.as_ref().is_none_or(|globs| keys.iter().any(|key| globs.is_match(key)));
        exposed && !self.hides(keys)
    }

    /// Whether the entry known by `keys` was hidden by name, however it was found.
    pub(super) fn hides(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.hide.is_match(key))
    }

    /// Whether a URI in no list is hidden, in any of its spellings: a backend takes all of them for the same. Where
    /// dot segments lead depends on the backend, so that nobody can say what they would not reach.
    pub(super) fn hides_uri(&self, uri: &str) -> bool {
        !self.hide.is_empty() && (has_dot_segments(uri) || matches_variant(&self.hide, uri))
    }

    /// Whether a URI in no list may be asked for.
    pub(super) fn shows_uri(&self, uri: &str) -> bool {
        let is_exposed = |globs: &GlobSet| !has_dot_segments(uri) && matches_variant(globs, uri);
        self.expose.as_ref().is_none_or(is_exposed) && !self.hides_uri(uri)
    }

    /// Whether anything is hidden by name.
    pub(super) fn hides_anything(&self) -> bool {
        !self.hide.is_empty()
    }
}

fn matches_variant(globs: &GlobSet, uri: &str) -> bool {
    globs.is_match(uri) || uri_variants(uri).iter().any(|uri| globs.is_match(uri))
}

/// One glob of the settings.
pub(super) struct Pattern(GlobSet);

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        Self(compile([pattern]))
    }

    pub(super) fn matches_any(&self, keys: &BTreeSet<String>) -> bool {
        keys.iter().any(|key| self.0.is_match(key))
    }
}

/// A pattern that is no glob stands for itself: leaving it out would show what was to be hidden.
fn compile<'a>(patterns: impl IntoIterator<Item = &'a str>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if let Ok(glob) = Glob::new(pattern).or_else(|_| Glob::new(&escape(pattern))) {
            set.add(glob);
        }
    }
    set.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(expose: &[&str], hide: &[&str]) -> Exposure {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Exposure::new(&ExposureSettings {
            expose: owned(expose),
            hide: owned(hide),
            ..ExposureSettings::default()
        })
    }

    #[test]
    fn hide_wins_over_expose_and_nothing_set_shows_all() {
        assert!(exposure(&[], &[]).shows(&["anything"]));
        let some = exposure(&["find_*", "get_order"], &["*_internal"]);
        assert!(some.shows(&["find_customer"]));
        assert!(some.shows(&["get_order"]));
        assert!(!some.shows(&["delete_customer"]));
        assert!(!some.shows(&["find_internal"]));
    }

    #[test]
    fn a_resource_is_exposed_by_either_key_and_hidden_by_either() {
        let some = exposure(&["file:///docs/*"], &["secret*"]);
        assert!(some.shows(&["file:///docs/a/b", "handbook"]));
        assert!(!some.shows(&["file:///docs/a/b", "secret handbook"]));
    }

    #[test]
    fn a_uri_is_hidden_or_exposed_in_every_spelling() {
        let some = exposure(&[], &["file:///secret docs/*"]);
        for spelling in ["file:///secret docs/a", "file:///secret%20docs/a", "FILE:///x/../secret%20docs/a"] {
            assert!(some.hides_uri(spelling), "{spelling}");
        }
        assert!(!some.hides_uri("file:///docs/a"));
        let some = exposure(&["file:///my docs/*"], &[]);
        assert!(some.shows_uri("file:///my docs/a") && some.shows_uri("file:///my%20docs/a"));
        assert!(!some.shows_uri("file:///my docs/../a") && !some.shows_uri("file:///my docs/%2e%2e/a"));
    }

    #[test]
    fn a_broken_pattern_hides_what_it_spells() {
        assert!(!exposure(&[], &["a[b"]).shows(&["a[b"]));
        assert!(exposure(&[], &["a[b"]).shows(&["ab"]));
    }
}
