//! Where do URIs stand in an answer that clients know under another name?
//!
//! Most backends have no marked URI and link to nothing they do not list; their answers are searched for one word.

use crate::catalog::{Catalog, Route};
use crate::protocol::{RawJson, Routed};

use super::{each_block, with_elements, with_member};

/// The type of a content block that leads to a resource.
const LINK: &str = "resource_link";

/// `result` with every URI as clients must spell it.
pub(super) fn shown(catalog: &Catalog, route: &Route, routed: Routed, result: RawJson) -> RawJson {
    // A marked URI that is in no list can be read too.
    let is_of_uri = routed == Routed::ReadResource || routed.is_about_a_skill();
    let is_marked = is_of_uri && route.local != route.qualified;
    let has_marked = catalog.has_marked_uris(&route.backend);
    // Nobody could say whose resource it is that a link leads to and no list has.
    let has_links = || !is_of_uri && memchr::memmem::find(result.as_bytes(), LINK.as_bytes()).is_some();
    if !is_marked && !has_marked && !has_links() {
        return result;
    }
    let shown = |holder: &RawJson| {
        with_member(holder, "uri", |uri| {
            let local = uri.string()?;
            let shown = catalog.shown_uri(&route.backend, &local);
            (shown != local).then(|| RawJson::of(&*shown))
        })
    };
    let each = |all: &RawJson| with_elements(all, |_, holder| shown(holder));
    let changed = match routed {
        Routed::ReadResource => with_member(&result, "contents", each),
        Routed::ReadDirectory => with_member(&result, "resources", each),
        Routed::GetSkill => with_member(&result, "skill", |skill| {
            let named = shown(skill);
            let files = with_member(named.as_ref().unwrap_or(skill), "resources", each);
            files.or(named)
        }),
        _ => return each_block(routed, result, |_, block| in_block(block, has_marked, shown)),
    };
    changed.unwrap_or(result)
}

/// What is embedded is there already: only where URIs are marked must it be called as in the lists.
fn in_block(
    block: &RawJson,
    has_marked: bool,
    shown: impl Fn(&RawJson) -> Option<RawJson>,
) -> Option<RawJson> {
    match &*block.get("type")?.string()? {
        LINK => shown(block),
        "resource" if has_marked => with_member(block, "resource", shown),
        _ => None,
    }
}

/// An error that names the resource asked for names it as the client did.
pub(super) fn of_error(route: &Route, error: RawJson) -> RawJson {
    if route.local == route.qualified {
        return error;
    }
    let shown = with_member(&error, "data", |data| {
        with_member(data, "uri", |uri| {
            (uri.string()? == *route.local).then(|| RawJson::of(&*route.qualified))
        })
    });
    shown.unwrap_or(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogSettings, ExposureSettings, Listing, Source};

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    /// `one` and `two` both list `file:///x`: the second one's is marked.
    fn catalog() -> Catalog {
        let resources = vec![raw(r#"{"name":"x","uri":"file:///x"}"#)];
        let listing = Listing { resources, ..Listing::default() };
        let exposure = |name: &str| ExposureSettings { backend: name.into(), ..ExposureSettings::default() };
        let exposures = [exposure("one"), exposure("two")];
        let sources = exposures.each_ref().map(|exposure| Source {
            exposure,
            listing: &listing,
            stale: false,
            over_http: false,
        });
        Catalog::merge(1, &CatalogSettings::default(), &sources)
    }

    fn route(backend: &str, local: &str, qualified: &str) -> Route {
        Route { backend: backend.into(), local: local.into(), qualified: qualified.into() }
    }

    fn told(backend: &str, routed: Routed, text: &str) -> String {
        let route = route(backend, "t", &format!("{backend}__t"));
        shown(&catalog(), &route, routed, raw(text)).as_str().to_owned()
    }

    #[test]
    fn links_and_embedded_resources_lead_back_to_the_backend_that_said_them() {
        let tool = |uri: &str| {
            format!(
                r#"{{"content":[{{"type":"text","uri":"file:///x"}},{{"type":"resource_link","uri":"{uri}","n":1.0}},{{"type":"resource","resource":{{"uri":"{uri}","text":"file:///x"}}}}]}}"#
            )
        };
        let prompt = |uri: &str| {
            format!(
                r#"{{"messages":[{{"role":"user","content":{{"type":"resource_link","uri":"{uri}"}}}}]}}"#
            )
        };
        for (routed, of) in
            [(Routed::CallTool, &tool as &dyn Fn(&str) -> String), (Routed::GetPrompt, &prompt)]
        {
            assert_eq!(told("two", routed, &of("file:///x")), of("two+file:///x"));
            assert_eq!(told("two", routed, &of("https://web.example/")), of("https://web.example/"));
            assert_eq!(told("one", routed, &of("file:///x")), of("file:///x"));
        }
    }

    #[test]
    fn a_link_to_what_no_list_has_says_whose_it_is() {
        let link = |uri: &str| format!(r#"{{"content":[{{"type":"resource_link","uri":"{uri}"}}]}}"#);
        assert_eq!(told("one", Routed::CallTool, &link("made://up")), link("one+made://up"));
        assert_eq!(
            told("one", Routed::CallTool, &link("https://web.example/")),
            link("https://web.example/")
        );
        assert_eq!(&*catalog().resource("one+made://up").unwrap().local, "made://up");
        // What is embedded has been read.
        let text = r#"{ "content" : [ {"type":"resource","resource":{"uri":"made://up","text":""}} ] }"#;
        assert_eq!(told("one", Routed::CallTool, text), text);
        assert!(!catalog().has_marked_uris("one") && catalog().has_marked_uris("two"));
    }

    #[test]
    fn what_was_read_is_called_as_it_was_asked_for() {
        let marked = route("two", "file:///x", "two+file:///x");
        let read = shown(
            &catalog(),
            &marked,
            Routed::ReadResource,
            raw(r#"{"contents":[{"uri":"file:///x","text":"t"}]}"#),
        );
        assert_eq!(read.as_str(), r#"{"contents":[{"uri":"two+file:///x","text":"t"}]}"#);
        let unlisted = route("one", "made://up", "one+made://up");
        let text = r#"{"contents":[{"uri":"made://up"}]}"#;
        let read = shown(&catalog(), &unlisted, Routed::ReadResource, raw(text));
        assert_eq!(read.as_str(), r#"{"contents":[{"uri":"one+made://up"}]}"#);
        let error = of_error(&marked, raw(r#"{"code":-32002,"data":{"uri":"file:///x"}}"#));
        assert_eq!(error.as_str(), r#"{"code":-32002,"data":{"uri":"two+file:///x"}}"#);
    }
}
