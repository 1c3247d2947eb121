//! Which backend is asked for a URI that is not spelt as in the lists, or is in none.
#![allow(clippy::unwrap_used)]

use super::tests::{exposure, merge, owned, owner, raw, resources};
use super::*;
use crate::protocol::ListKind;

fn unlisted(catalog: &Catalog, uri: &str) -> Option<(String, String)> {
    catalog.unlisted_resource(uri).map(|route| (route.backend.to_string(), route.local.to_string()))
}

#[test]
fn a_uri_that_a_client_normalised_is_asked_for_in_the_backends_own_spelling() {
    let listing = resources(
        &["file:///a b", "notes://café/ü", "http://example.com", "HTTPS://Example.com:443/x/../y"],
        &["docs://straße/{name}", "http://Example.com:80/{+path}"],
    );
    let catalog = merge(&[(exposure("crm"), listing)]);
    for (asked, own) in [
        ("file:///a%20b", "file:///a b"),
        ("notes://caf%c3%a9/%C3%BC", "notes://café/ü"),
        ("http://example.com/", "http://example.com"),
        ("https://example.com/y", "HTTPS://Example.com:443/x/../y"),
        ("docs://straße/a", "docs://straße/a"),
        ("docs://stra%C3%9Fe/a%20b", "docs://straße/a%20b"),
        ("http://example.com/a/b", "http://Example.com:80/a/b"),
    ] {
        assert_eq!(owner(&catalog, asked), owned("crm", own), "{asked}");
        assert_eq!(&*catalog.resource(asked).unwrap().qualified, asked);
    }
    assert_eq!(owner(&catalog, "file:///a%20c"), None);
    // Servers with a URL type spell what they list in its normal form as well.
    assert_eq!(catalog.own_uri("crm", "http://example.com/"), "http://example.com");
    assert_eq!(catalog.shown_uri("crm", "file:///a%20b"), "file:///a%20b");
}

#[test]
fn of_two_resources_with_one_normal_form_each_is_found_by_its_exact_spelling() {
    let one = resources(&["x://h/a b"], &[]);
    let two = resources(&["x://h/a%20b", "x://H/a b"], &[]);
    let catalog = merge(&[(exposure("one"), one.clone()), (exposure("two"), two)]);
    assert_eq!(owner(&catalog, "x://h/a b"), owned("one", "x://h/a b"));
    assert_eq!(owner(&catalog, "x://h/a%20b"), owned("two", "x://h/a%20b"));
    assert_eq!(owner(&catalog, "x://H/a b"), owned("two", "x://H/a b"));
    // A spelling that is in no list belongs to the first in the order of the configuration.
    assert_eq!(owner(&catalog, "X://h/a%20b"), owned("one", "x://h/a b"));
    let catalog = merge(&[(exposure("one"), one.clone()), (exposure("two"), one)]);
    assert_eq!(owner(&catalog, "two+x://h/a%20b"), owned("two", "x://h/a b"));
    assert_eq!(catalog.shown_uri("two", "x://h/a%20b"), "two+x://h/a b");
}

#[test]
fn what_is_hidden_is_reached_by_no_spelling_template_or_mark() {
    let listing = || {
        let mut listing = resources(&["x://h/a b"], &["x://{+rest}"]);
        listing.resources.push(raw(r#"{"uri":"x://h/s t","name":"secret"}"#));
        listing
    };
    let mut by_name = exposure("crm");
    by_name.hide = vec!["secret".to_owned()];
    let mut by_uri = exposure("crm");
    by_uri.hide = vec!["x://h/s*".to_owned()];
    for exposure in [by_name, by_uri] {
        let catalog = merge(&[(exposure, listing())]);
        for spelling in ["x://h/s t", "x://h/s%20t", "X://H/s%20t", "x://h/b/../s%20t", "crm+x://h/s%20t"] {
            assert_eq!(owner(&catalog, spelling).or(unlisted(&catalog, spelling)), None, "{spelling}");
        }
        assert_eq!(owner(&catalog, "x://h/other"), owned("crm", "x://h/other"));
    }
}

#[test]
fn a_uri_in_no_list_belongs_to_the_only_backend_that_can_have_it() {
    let notes = || (exposure("notes"), resources(&["notes://1"], &[]));
    let files = || (exposure("files"), resources(&[], &["file:///{+path}"]));
    let without = || (exposure("tools"), Listing::default());
    let only = merge(&[notes(), without()]);
    assert_eq!(unlisted(&only, "notes://2"), owned("notes", "notes://2"));
    assert_eq!(unlisted(&only, "other://2"), owned("notes", "other://2"));
    let two = merge(&[notes(), files()]);
    assert_eq!(unlisted(&two, "Notes://2"), owned("notes", "Notes://2"));
    assert_eq!(unlisted(&two, "other://2"), None);
    // A link to it needs a mark only where several may have it.
    assert_eq!(only.shown_uri("notes", "other://2"), "other://2");
    assert_eq!(two.shown_uri("notes", "notes://2"), "notes://2");
    assert_eq!(two.shown_uri("notes", "other://2"), "notes+other://2");
    let both = merge(&[notes(), (exposure("more"), resources(&["notes://3"], &[]))]);
    assert_eq!(unlisted(&both, "notes://2"), None);
    // One of which nothing is known may have it, unless the scheme is another's.
    let partial = merge(&[notes(), without()]).partial(true);
    assert_eq!(unlisted(&partial, "notes://2"), owned("notes", "notes://2"));
    assert_eq!(unlisted(&partial, "other://2"), None);
}

#[test]
fn a_uri_in_no_list_is_only_asked_for_if_the_operator_exposes_it() {
    let mut settings = exposure("crm");
    settings.expose = vec!["notes://public/*".to_owned()];
    let catalog = merge(&[(settings, resources(&["notes://1"], &[]))]);
    assert_eq!(unlisted(&catalog, "notes://public/2"), owned("crm", "notes://public/2"));
    for other in ["notes://1", "notes://2", "notes://public/../2", "notes://public/%2e%2e/2"] {
        assert_eq!(unlisted(&catalog, other), None, "{other}");
    }
    let view = merge(&[(exposure("crm"), resources(&["notes://1", "notes://2"], &[]))])
        .view(|_, route| &*route.local == "notes://1");
    assert_eq!(unlisted(&view, "notes://3"), None);
}

#[test]
fn a_name_in_no_list_leads_to_a_backend_that_lists_none_or_is_the_only_one_without_a_prefix() {
    let declares = |tools: &[&str]| Listing {
        capabilities: Some(raw(r#"{"tools":{},"prompts":{}}"#)),
        ..super::tests::tools(tools)
    };
    let route = |catalog: &Catalog, kind, name: &str| {
        catalog.unlisted(kind, name).map(|route| format!("{} {}", route.backend, route.local))
    };
    let catalog = merge(&[(exposure("a"), declares(&[])), (exposure("b"), declares(&["t"]))]);
    assert_eq!(route(&catalog, ListKind::Tools, "a__hidden").as_deref(), Some("a hidden"));
    assert_eq!(route(&catalog, ListKind::Tools, "b__hidden"), None);
    assert_eq!(route(&catalog, ListKind::Prompts, "b__hidden").as_deref(), Some("b hidden"));
    assert_eq!(route(&catalog, ListKind::Tools, "hidden").or(route(&catalog, ListKind::Tools, "a__")), None);
    let mut plain = exposure("a");
    plain.prefix = String::new();
    plain.hide = vec!["secret*".to_owned()];
    let only = merge(&[(plain.clone(), declares(&["t"]))]);
    assert_eq!(route(&only, ListKind::Tools, "hidden").as_deref(), Some("a hidden"));
    assert_eq!(route(&only, ListKind::Tools, "secret_tool"), None);
    let two = merge(&[(plain, declares(&["t"])), (exposure("b"), declares(&["t"]))]);
    assert_eq!(route(&two, ListKind::Tools, "hidden"), None);
    assert_eq!(merge(&[(exposure("a"), Listing::default())]).unlisted(ListKind::Tools, "a__x"), None);
}
