//! How is a URI spelt that two backends offer?
//!
//! A URI is left alone while it is unique, because it also stands in texts and results. The second
//! backend's becomes `<slug>+<uri>`: still a URI, and reversible by looking at it.

use super::digest::suffix;

/// The backend's name as the start of a URI scheme: a lower-case letter, then letters, digits, `-`
/// and `.`. A name that had to be changed carries a hash, so no two backends share a slug.
pub fn slug(backend: &str) -> String {
    let is_slug = |text: &str| text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.'));
    if backend.starts_with(|c: char| c.is_ascii_lowercase()) && is_slug(backend) {
        return backend.to_owned();
    }
    let repaired: String = backend
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if is_slug(c.encode_utf8(&mut [0; 4])) { c } else { '-' })
        .collect();
    format!("b-{repaired}-{}", suffix(&[backend]))
}

/// `uri` marked as belonging to the backend of `slug`.
pub(super) fn marked(slug: &str, uri: &str) -> String {
    format!("{slug}+{uri}")
}

/// The slug and the rest, if `uri` may be a marked one.
pub fn unmark(uri: &str) -> Option<(&str, &str)> {
    uri.split_once('+').filter(|(slug, rest)| !slug.is_empty() && !rest.is_empty())
}

/// Whether clients may fetch `uri` without a server's help (MCP 2025-11-25, server/resources,
/// "Common URI Schemes").
pub(super) fn is_web(uri: &str) -> bool {
    let starts_with = |scheme: &str| uri.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    starts_with("http://") || starts_with("https://")
}

/// `template` without its variables' names: two of the same shape make the same URIs.
pub(super) fn shape(template: &str) -> String {
    let mut shape = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        let Some((_, after)) = tail.split_once('}') else { break };
        shape.push_str(literal);
        shape.push_str("{}");
        rest = after;
    }
    shape.push_str(rest);
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_differ_only_in_what_a_scheme_cannot_hold_get_different_slugs() {
        assert_eq!(slug("crm"), "crm");
        assert_ne!(slug("a_b"), slug("a-b"));
        assert_ne!(slug("CRM"), slug("crm"));
        assert!(slug("7up").starts_with('b'));
    }

    #[test]
    fn templates_that_make_the_same_uris_have_the_same_shape() {
        assert_eq!(shape("db://{table}/{+row}"), shape("db://{t}/{r}"));
        assert_ne!(shape("db://{table}"), shape("db://{table}/x"));
        assert_eq!(shape("odd://{unclosed"), "odd://{unclosed");
    }

    proptest! {
        #[test]
        fn a_marked_uri_gives_back_backend_and_uri(backend in ".{1,30}", uri in ".{1,60}") {
            let slug = slug(&backend);
            let marked = marked(&slug, &uri);
            prop_assert_eq!(unmark(&marked), Some((slug.as_str(), uri.as_str())));
        }
    }
}
