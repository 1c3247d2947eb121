//! Which resource does a tool's user interface live in, once URIs have been marked?
//!
//! MCP Apps: a tool names its `ui://` resource in `_meta.ui.resourceUri`, older ones in
//! `_meta["ui/resourceUri"]`. When that resource is shown under another URI, so must the link be. It may be in no
//! list: then the tool's backend owns it all the same, under a URI of ours if another one has it already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::route::Item;
use super::uris;
use crate::protocol::{Object, RawJson};

/// How the URI of every user interface begins.
pub(super) const SCHEME: &str = "ui://";

/// (backend, local URI) → as clients see it, for the resources whose URI was changed.
pub(super) type Changed = HashMap<(Arc<str>, Arc<str>), Arc<str>>;

/// The resources whose URI was changed, and those in no list that `tools` link to and must call otherwise.
pub(super) fn changed(tools: &[Item], resources: &[Item]) -> Changed {
    let routes = resources.iter().map(|item| &item.route).filter(|route| route.local != route.qualified);
    let mut changed =
        routes.map(|route| ((route.backend.clone(), route.local.clone()), route.qualified.clone())).collect();
    add_unlisted(&mut changed, tools, resources);
    changed
}

/// The links that `tool` has to user interfaces, as its entry spells them.
pub(super) fn of(tool: &RawJson) -> Vec<String> {
    let Some(meta) = tool.get("_meta") else { return Vec::new() };
    let links = [meta.get("ui/resourceUri"), meta.get("ui").and_then(|ui| ui.get("resourceUri"))];
    links.iter().flatten().filter_map(|link| link.string().map(String::from)).collect()
}

/// Adds the links of `tools` that no list has, as far as another backend has their URI already.
fn add_unlisted(changed: &mut Changed, tools: &[Item], resources: &[Item]) {
    let routes = || resources.iter().map(|item| &item.route);
    let listed: HashSet<(&str, &str)> = routes().map(|route| (&*route.backend, &*route.local)).collect();
    let mut owners: HashMap<String, Arc<str>> =
        routes().map(|route| (route.qualified.to_string(), Arc::clone(&route.backend))).collect();
    for tool in tools {
        let backend = &tool.route.backend;
        for link in of(&tool.entry).into_iter().filter(|link| link.starts_with(SCHEME)) {
            if listed.contains(&(&**backend, link.as_str())) {
                continue;
            }
            let owner = owners.entry(link.clone()).or_insert_with(|| Arc::clone(backend));
            if owner != backend {
                let shown = uris::marked(&uris::slug(backend), &link);
                changed.insert((Arc::clone(backend), link.into()), shown.into());
            }
        }
    }
}

/// Rewrites the links of `tool` that lead to a changed resource.
pub(super) fn rewrite(tool: &mut Item, changed: &Changed) {
    let backend = &tool.route.backend;
    let shown = |link: Option<&RawJson>| {
        let local = link?.string()?;
        changed.get(&(backend.clone(), Arc::from(&*local))).map(|uri| RawJson::of(&**uri))
    };
    let Some(mut entry) = Object::parse(&tool.entry) else { return };
    let Some(mut meta) = entry.get("_meta").and_then(Object::parse) else { return };
    if let Some(uri) = shown(meta.get("ui/resourceUri")) {
        meta.set("ui/resourceUri", uri);
    }
    if let Some(mut ui) = meta.get("ui").and_then(Object::parse)
        && let Some(uri) = shown(ui.get("resourceUri"))
    {
        ui.set("resourceUri", uri);
        meta.set("ui", ui.to_json());
    }
    entry.set("_meta", meta.to_json());
    tool.entry = entry.to_json();
}
