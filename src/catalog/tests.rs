//! The promises of the room as a whole.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::{ListKind, RawJson};

pub(super) fn raw(text: &str) -> RawJson {
    RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn tool(name: &str) -> RawJson {
    raw(&format!(r#"{{"name":{},"inputSchema":{{"type":"object"}}}}"#, RawJson::of(name).as_str()))
}

pub(super) fn tools(names: &[&str]) -> Listing {
    Listing { tools: names.iter().map(|name| tool(name)).collect(), ..Listing::default() }
}

pub(super) fn resources(uris: &[&str], templates: &[&str]) -> Listing {
    let entry = |member: &str, uri: &&str| raw(&format!(r#"{{"{member}":"{uri}","name":"n"}}"#));
    Listing {
        resources: uris.iter().map(|uri| entry("uri", uri)).collect(),
        resource_templates: templates.iter().map(|template| entry("uriTemplate", template)).collect(),
        ..Listing::default()
    }
}

pub(super) fn exposure(backend: &str) -> ExposureSettings {
    ExposureSettings {
        backend: backend.to_owned(),
        prefix: backend.to_owned(),
        ..ExposureSettings::default()
    }
}

pub(super) fn merge(backends: &[(ExposureSettings, Listing)]) -> Catalog {
    let sources: Vec<_> = backends
        .iter()
        .map(|(exposure, listing)| Source { exposure, listing, stale: false, over_http: false })
        .collect();
    Catalog::merge(1, &CatalogSettings::default(), &sources)
}

fn listed(catalog: &Catalog, kind: ListKind) -> Vec<String> {
    let member = match kind {
        ListKind::Tools | ListKind::Prompts => "name",
        ListKind::Resources | ListKind::Skills => "uri",
        ListKind::ResourceTemplates => "uriTemplate",
    };
    let entries =
        RawJson::parse(catalog.page(kind, Audience::ALL, None).unwrap().entries).unwrap().elements();
    entries.iter().map(|entry| entry.get(member).unwrap().string().unwrap().into_owned()).collect()
}

pub(super) fn owner(catalog: &Catalog, uri: &str) -> Option<(String, String)> {
    catalog.resource(uri).map(|route| (route.backend.to_string(), route.local.to_string()))
}

pub(super) fn owned(backend: &str, uri: &str) -> Option<(String, String)> {
    Some((backend.to_owned(), uri.to_owned()))
}

#[test]
fn tools_come_in_configuration_order_then_the_backends_own_and_lead_back() {
    let catalog = merge(&[(exposure("crm"), tools(&["z", "a"])), (exposure("api"), tools(&["m"]))]);
    assert_eq!(listed(&catalog, ListKind::Tools), ["crm__z", "crm__a", "api__m"]);
    let route = &catalog.tool("crm__a").unwrap().route;
    assert_eq!((&*route.backend, &*route.local), ("crm", "a"));
    assert!(catalog.tool("a").is_none());
}

#[test]
fn only_the_name_of_an_entry_is_touched() {
    let text = r#"{"x-unknown":1.50e+2,"name":"a","inputSchema":{"type":"object", "b":"\u00e9", "a":12345678901234567890},"z":[ ]}"#;
    let listing = Listing { tools: vec![raw(text)], ..Listing::default() };
    let catalog = merge(&[(exposure("crm"), listing)]);
    let expected = format!("[{}]", text.replace(r#""name":"a""#, r#""name":"crm__a""#));
    assert_eq!(catalog.page(ListKind::Tools, Audience::ALL, None).unwrap().entries, expected.as_bytes());
}

#[test]
fn a_malformed_entry_drops_only_itself_and_says_so() {
    let mut listing = tools(&["a", "b", "a"]);
    listing.tools.insert(1, raw("[]"));
    listing.tools.insert(2, raw(r#"{"name":"broken","inputSchema":false}"#));
    let catalog = merge(&[(exposure("crm"), listing)]);
    assert_eq!(listed(&catalog, ListKind::Tools), ["crm__a", "crm__b"]);
    let warnings: Vec<String> = catalog.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 3);
    assert!(
        warnings[1].contains("crm")
            && warnings[1].contains("\"broken\"")
            && warnings[1].contains("inputSchema")
    );
    let flood = Listing { tools: vec![raw("0"); 5000], ..Listing::default() };
    assert_eq!(merge(&[(exposure("crm"), flood)]).warnings().len(), MAX_WARNINGS);
}

#[test]
fn rename_description_expose_and_hide_are_the_operators_word() {
    let mut crm = exposure("crm");
    crm.hide = vec!["delete_*".to_owned()];
    crm.rename.insert("find".to_owned(), "search".to_owned());
    crm.description.insert("find".to_owned(), "Finds \"it\".".to_owned());
    let catalog = merge(&[(crm, tools(&["find", "delete_all"]))]);
    assert_eq!(listed(&catalog, ListKind::Tools), ["crm__search"]);
    let found = catalog.tool("crm__search").unwrap();
    assert_eq!(&*found.route.local, "find");
    assert_eq!(found.entry.get("description").unwrap().string().unwrap(), "Finds \"it\".");
    assert!(catalog.tool("crm__delete_all").is_none());
}

#[test]
fn no_backend_takes_a_name_behind_another_ones_prefix() {
    let mut flat = exposure("flat");
    flat.prefix = String::new();
    let catalog = merge(&[(flat, tools(&["crm__find", "own"])), (exposure("crm"), tools(&["find"]))]);
    assert_eq!(&*catalog.tool("crm__find").unwrap().route.backend, "crm");
    let names = listed(&catalog, ListKind::Tools);
    assert_eq!((names.len(), names[1].as_str(), names[2].as_str()), (3, "own", "crm__find"));
    assert_eq!(&*catalog.tool(&names[0]).unwrap().route.local, "crm__find");
    assert!(matches!(&catalog.warnings()[0].problem, Problem::Taken { owner, .. } if owner == "crm"));
}

#[test]
fn a_uri_two_backends_list_is_marked_for_the_second_and_leads_back() {
    let catalog = merge(&[
        (exposure("a"), resources(&["file:///x", "file:///only-a"], &["db://{t}"])),
        (exposure("b"), resources(&["file:///x"], &["db://{table}", "log://{+path}"])),
    ]);
    assert_eq!(listed(&catalog, ListKind::Resources), ["file:///x", "file:///only-a", "b+file:///x"]);
    assert_eq!(
        listed(&catalog, ListKind::ResourceTemplates),
        ["db://{t}", "b+db://{table}", "log://{+path}"]
    );
    assert_eq!(owner(&catalog, "file:///x"), owned("a", "file:///x"));
    assert_eq!(owner(&catalog, "b+file:///x"), owned("b", "file:///x"));
    assert_eq!(owner(&catalog, "db://users"), owned("a", "db://users"));
    assert_eq!(owner(&catalog, "b+db://users"), owned("b", "db://users"));
    assert_eq!(owner(&catalog, "log://a/b"), owned("b", "log://a/b"));
    assert_eq!(owner(&catalog, "other://x"), None);
    assert_eq!(&*catalog.resource_template("b+db://{table}").unwrap().local, "db://{table}");
}

#[test]
fn every_uri_a_backend_mentions_is_shown_so_that_it_leads_back() {
    let catalog = merge(&[
        (exposure("a"), resources(&["file:///x"], &["db://{t}"])),
        (exposure("b"), resources(&["file:///x"], &[])),
    ]);
    for backend in ["a", "b"] {
        for uri in ["file:///x", "db://users", "made://up", "b+file:///x"] {
            let shown = catalog.shown_uri(backend, uri);
            assert_eq!(owner(&catalog, &shown), owned(backend, uri), "{backend} {uri} {shown}");
        }
    }
    assert_eq!(catalog.shown_uri("b", "https://example.com/"), "https://example.com/");
}

#[test]
fn a_scheme_that_looks_marked_belongs_to_whoever_offers_it() {
    let catalog = merge(&[
        (exposure("git"), resources(&[], &[])),
        (exposure("forge"), resources(&[], &["git+ssh://{host}"])),
    ]);
    assert_eq!(owner(&catalog, "git+ssh://example"), owned("forge", "git+ssh://example"));
    assert_eq!(owner(&catalog, "git+other://x"), owned("git", "other://x"));
}

#[test]
fn a_hidden_resource_cannot_be_read_by_any_spelling() {
    let mut a = exposure("a");
    a.hide = vec!["file:///secret*".to_owned()];
    let catalog = merge(&[(a, resources(&["file:///secret", "file:///open"], &["file:///{name}"]))]);
    for uri in ["file:///secret", "a+file:///secret", "file:///secrets", "a+file:///secrets"] {
        assert_eq!(owner(&catalog, uri), None, "{uri}");
    }
    assert_eq!(owner(&catalog, "file:///other"), owned("a", "file:///other"));
}

#[test]
fn an_apps_link_follows_its_resource() {
    let mut listing = resources(&["ui://app"], &[]);
    listing.tools = vec![raw(
        r#"{"name":"t","inputSchema":{},"_meta":{"k":1.0,"ui":{"resourceUri":"ui://app","v":1},"ui/resourceUri":"ui://app"}}"#,
    )];
    let catalog = merge(&[(exposure("a"), listing.clone()), (exposure("b"), listing)]);
    let meta = |name: &str| catalog.tool(name).unwrap().entry.get("_meta").unwrap().as_str().to_owned();
    assert_eq!(
        meta("a__t"),
        r#"{"k":1.0,"ui":{"resourceUri":"ui://app","v":1},"ui/resourceUri":"ui://app"}"#
    );
    assert_eq!(
        meta("b__t"),
        r#"{"k":1.0,"ui":{"resourceUri":"b+ui://app","v":1},"ui/resourceUri":"b+ui://app"}"#
    );
}

#[test]
fn a_user_interface_in_no_list_belongs_to_the_backend_whose_tool_links_it() {
    let linking = |uri: &str| {
        let tool = format!(r#"{{"name":"t","inputSchema":{{}},"_meta":{{"ui":{{"resourceUri":"{uri}"}}}}}}"#);
        Listing { tools: vec![raw(&tool)], ..Listing::default() }
    };
    let mut hiding = exposure("d");
    hiding.hide = vec!["ui://hidden".to_owned()];
    let catalog = merge(&[
        (exposure("a"), linking("ui://app")),
        (exposure("b"), linking("ui://app")),
        (exposure("c"), resources(&["ui://listed"], &["ui://{any}"])),
        (hiding, linking("ui://hidden")),
        (exposure("e"), linking("ui://listed")),
        (exposure("f"), linking("file:///etc/passwd")),
    ]);
    let link = |name: &str| app_links::of(&catalog.tool(name).unwrap().entry).remove(0);
    assert_eq!((link("a__t"), link("b__t")), ("ui://app".to_owned(), "b+ui://app".to_owned()));
    assert_eq!((link("e__t"), link("f__t")), ("e+ui://listed".to_owned(), "file:///etc/passwd".to_owned()));
    for (uri, backend, local) in [
        ("ui://app", "a", "ui://app"),
        ("b+ui://app", "b", "ui://app"),
        ("ui://listed", "c", "ui://listed"),
        ("e+ui://listed", "e", "ui://listed"),
        ("ui://other", "c", "ui://other"),
    ] {
        assert_eq!(owner(&catalog, uri), owned(backend, local), "{uri}");
        assert_eq!(catalog.shown_uri(backend, local), uri);
    }
    assert_eq!((owner(&catalog, "d+ui://hidden"), owner(&catalog, "file:///etc/passwd")), (None, None));
    assert_eq!(owner(&catalog, "ui://hidden"), owned("c", "ui://hidden"));
    let view = catalog.view(|_, route| &*route.backend == "b");
    assert_eq!((owner(&view, "b+ui://app"), owner(&view, "ui://app")), (owned("b", "ui://app"), None));
}

#[test]
fn a_tool_whose_header_annotations_are_wrong_is_dropped_over_http_and_stripped_elsewhere() {
    let listing = Listing {
        tools: vec![
            raw(
                r#"{"name":"good","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"R"}}}}"#,
            ),
            raw(
                r#"{"name":"bad","inputSchema":{"type":"object","n":1.0,"properties":{"r":{"type":"number","x-mcp-header":"R"}}}}"#,
            ),
        ],
        ..Listing::default()
    };
    let exposure = exposure("a");
    let merge = |over_http| {
        let source = Source { exposure: &exposure, listing: &listing, stale: false, over_http };
        Catalog::merge(1, &CatalogSettings::default(), &[source])
    };
    let (over_http, elsewhere) = (merge(true), merge(false));
    assert_eq!(listed(&over_http, ListKind::Tools), ["a__good"]);
    assert_eq!(over_http.tool("a__good").unwrap().param_headers[0].header, "Mcp-Param-R");
    assert!(over_http.warnings()[0].to_string().contains("is left out"), "{:?}", over_http.warnings());
    let bad = elsewhere.tool("a__bad").unwrap();
    assert_eq!(
        bad.input_schema.as_str(),
        r#"{"type":"object","n":1.0,"properties":{"r":{"type":"number"}}}"#
    );
    assert_eq!(
        (bad.entry.get("inputSchema").as_ref(), bad.param_headers.len()),
        (Some(&bad.input_schema), 0)
    );
    assert_eq!(elsewhere.tool("a__good").unwrap().param_headers.len(), 1);
    assert!(elsewhere.warnings()[0].to_string().contains("x-mcp-header"), "{:?}", elsewhere.warnings());
}

#[test]
fn clients_hear_of_a_list_only_when_what_they_see_differs() {
    let before = merge(&[(exposure("a"), tools(&["x"]))]);
    let mut hiding = exposure("a");
    hiding.hide = vec!["y".to_owned()];
    let listing = Listing { instructions: Some("new".to_owned()), ..tools(&["x", "y"]) };
    let source = Source { exposure: &hiding, listing: &listing, stale: true, over_http: false };
    let same = Catalog::merge(2, &CatalogSettings { page_size: 7, ..CatalogSettings::default() }, &[source]);
    assert_eq!(same.changed_since(&before), []);
    assert_eq!(same.stale().collect::<Vec<_>>(), ["a"]);
    let more = merge(&[(exposure("a"), tools(&["x", "y"]))]);
    assert_eq!(more.changed_since(&before), [ListKind::Tools]);
}

#[test]
fn a_view_shows_and_routes_what_is_allowed_and_nothing_else() {
    let mut a = resources(&["file:///open", "file:///closed"], &["file:///{name}"]);
    a.tools = vec![tool("x"), tool("y")];
    let b = Listing { instructions: Some("secret".to_owned()), ..tools(&["z"]) };
    let whole = merge(&[(exposure("a"), a), (exposure("b"), b)]);
    let view =
        whole.view(|_, route| &*route.backend == "a" && !matches!(&*route.local, "y" | "file:///closed"));
    assert_eq!(listed(&view, ListKind::Tools), ["a__x"]);
    assert!(view.tool("a__y").is_none() && view.tool("b__z").is_none());
    assert_eq!(view.instructions(), None);
    assert_eq!(view.summaries().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    for uri in ["file:///closed", "a+file:///closed", "a+made://up", "b+made://up"] {
        assert_eq!(owner(&view, uri), None, "{uri}");
    }
    assert_eq!(owner(&view, "file:///other"), owned("a", "file:///other"));
    assert_eq!(view.changed_since(&whole), [ListKind::Tools, ListKind::Resources]);
    assert!(view.nearest(ListKind::Tools, "z", 3).is_empty());
}

#[test]
fn each_backends_share_is_counted() {
    let catalog =
        merge(&[(exposure("a"), tools(&["x", "y"])), (exposure("b"), resources(&["u://1"], &["u://{x}"]))]);
    let [(_, a), (_, b)] = catalog.summaries().collect::<Vec<_>>()[..] else { panic!("two backends") };
    assert_eq!((a.tools, a.resources, a.tokens), (2, 0, 2 * (6 + 17_usize).div_ceil(4)));
    assert_eq!((b.tools, b.resources, b.resource_templates, b.tokens), (0, 1, 1, 0));
}

proptest! {
    #[test]
    fn any_backends_give_distinct_legal_names_that_lead_back_the_same_way_every_time(
        backends in prop::collection::vec(
            ("[ab_]{0,3}", prop::collection::vec("[ab_.]{1,4}|[ab.]{50,52}", 0..8)),
            1..5,
        ),
    ) {
        let backends: Vec<_> = backends
            .into_iter()
            .enumerate()
            .map(|(at, (prefix, names))| {
                let exposure = ExposureSettings { backend: format!("b{at}"), prefix, ..ExposureSettings::default() };
                (exposure, tools(&names.iter().map(String::as_str).collect::<Vec<_>>()))
            })
            .collect();
        let catalog = merge(&backends);
        let names = listed(&catalog, ListKind::Tools);
        let namer = Namer::new(&CatalogSettings::default());
        let mut routes = std::collections::HashSet::new();
        for name in &names {
            let route = &catalog.tool(name).unwrap().route;
            prop_assert!(namer.is_legal(name));
            prop_assert!(routes.insert((route.backend.clone(), route.local.clone())));
        }
        let offered = |listing: &Listing| {
            listing.tools.iter().map(RawJson::as_str).collect::<std::collections::HashSet<_>>().len()
        };
        prop_assert_eq!(names.len(), backends.iter().map(|(_, listing)| offered(listing)).sum::<usize>());
        prop_assert_eq!(merge(&backends).changed_since(&catalog), []);
    }
}
