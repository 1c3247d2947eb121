//! What is an entry called towards clients, whatever its backend calls it?
//!
//! `{prefix}__{local}`, without exception: a rule with exceptions makes two local names one. A name
//! that a model's API would refuse is repaired, and then carries a hash of the original, so that
//! `a.b` and `a/b` stay two names and neither can take the place of `a_b`.

use super::digest::suffix;
use super::settings::CatalogSettings;

/// Between a backend's prefix and the local name.
pub const SEPARATOR: &str = "__";

/// `_` and eight hexadecimal digits.
const SUFFIX_LENGTH: usize = 9;

/// No limit is taken so literally that only the hash is left of a name.
const SHORTEST_LIMIT: usize = SUFFIX_LENGTH + 3;

/// Makes names of `[A-Za-z0-9_-]` within the length a client can show to its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namer {
    longest: usize,
}

impl Namer {
    /// Takes what the client itself puts in front off the limit.
    pub fn new(settings: &CatalogSettings) -> Self {
        let longest = settings.name_limit.saturating_sub(settings.client_prefix.len());
        Self { longest: longest.max(SHORTEST_LIMIT) }
    }

    /// Longest name made, in bytes; each character is one.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The name of `local` behind `prefix`; just `local` for an empty prefix.
    pub fn qualify(&self, prefix: &str, local: &str) -> String {
        let separator = if prefix.is_empty() { "" } else { SEPARATOR };
        let wanted = format!("{prefix}{separator}{local}");
        if self.is_legal(&wanted) {
            return wanted;
        }
        self.marked(&wanted, &[prefix, local])
    }

    /// Another name for an entry whose `name` is taken; `attempt` counts the names tried before.
    pub fn distinct(&self, name: &str, backend: &str, local: &str, attempt: usize) -> String {
        self.marked(name, &[backend, local, &attempt.to_string()])
    }

    /// Whether `name` can be shown as it is.
    pub fn is_legal(&self, name: &str) -> bool {
        (1..=self.longest).contains(&name.len()) && name.chars().all(is_legal)
    }

    fn marked(&self, wanted: &str, hashed: &[&str]) -> String {
        let kept = wanted.chars().take(self.longest - SUFFIX_LENGTH);
        let mut name: String = kept.map(|c| if is_legal(c) { c } else { '_' }).collect();
        name.push('_');
        name.push_str(&suffix(hashed));
        name
    }
}

fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    fn namer() -> Namer {
        Namer::new(&CatalogSettings::default())
    }

    #[test]
    fn a_legal_name_is_prefixed_and_otherwise_kept() {
        assert_eq!(namer().qualify("crm", "find_customer"), "crm__find_customer");
        assert_eq!(namer().qualify("", "find_customer"), "find_customer");
        assert_eq!(namer().qualify("crm", "crm__find"), "crm__crm__find");
    }

    #[test]
    fn a_repaired_name_carries_a_hash_that_keeps_it_apart() {
        let dotted = namer().qualify("fs", "file.read");
        assert!(dotted.starts_with("fs__file_read_"), "{dotted}");
        assert_ne!(dotted, namer().qualify("fs", "file/read"));
        assert_ne!(dotted, namer().qualify("fs", "file_read"));
    }

    #[test]
    fn the_clients_own_prefix_counts_towards_the_limit() {
        let exact = "x".repeat(64 - "mcp__switchyard__".len() - "crm__".len());
        assert_eq!(namer().qualify("crm", &exact), format!("crm__{exact}"));
        let shortened = namer().qualify("crm", &format!("{exact}y"));
        assert_eq!("mcp__switchyard__".len() + shortened.len(), 64);
        assert!(shortened.starts_with("crm__xxx"));
    }

    #[test]
    fn a_limit_below_the_clients_prefix_still_leaves_names() {
        let settings = CatalogSettings { name_limit: 10, ..CatalogSettings::default() };
        assert_eq!(Namer::new(&settings).qualify("crm", "find_customer").len(), SHORTEST_LIMIT);
    }

    proptest! {
        #[test]
        fn every_name_is_legal_and_the_same_again(prefix in "[a-z-]{0,40}", local in ".{1,200}", n in 0usize..3) {
            let name = namer().qualify(&prefix, &local);
            prop_assert!(namer().is_legal(&name), "{name}");
            prop_assert_eq!(&name, &namer().qualify(&prefix, &local));
            let other = namer().distinct(&name, &prefix, &local, n);
            prop_assert!(namer().is_legal(&other), "{other}");
            prop_assert_ne!(name, other);
        }

        #[test]
        fn different_local_names_stay_different(
            locals in prop::collection::hash_set("[ab._/é-]{1,6}|[ab.]{60,62}", 2..60),
        ) {
            let mut seen = HashMap::new();
            for local in &locals {
                let other = seen.insert(namer().qualify("crm", local), local);
                prop_assert!(other.is_none(), "{local:?} and {other:?}");
            }
        }
    }
}
