//! Which resource does a tool's user interface live in, once URIs have been marked?
//!
//! MCP Apps: a tool names its `ui://` resource in `_meta.ui.resourceUri`, older ones in
//! `_meta["ui/resourceUri"]`. When that resource is shown under another URI, so must the link be.

use std::collections::HashMap;
use std::sync::Arc;

use super::route::Item;
use crate::protocol::{Object, RawJson};

/// (backend, local URI) → as clients see it, for the resources whose URI was changed.
pub(super) type Changed = HashMap<(Arc<str>, Arc<str>), Arc<str>>;

/// The resources of `items` whose URI was changed.
pub(super) fn changed(items: &[Item]) -> Changed {
    let routes = items.iter().map(|item| &item.route).filter(|route| route.local != route.qualified);
    routes.map(|route| ((route.backend.clone(), route.local.clone()), route.qualified.clone())).collect()
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
