//! Under which URIs do clients find the files of a skill?
//!
//! A skill is a directory: all that is in it is called as the skill is, so that what its files say of each other
//! stays true. Where the directories of two backends overlap, the later one's is marked with all that is in it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::route::Item;
use super::uris;
use crate::protocol::{Object, RawJson, skills};

/// Most steps from a file up to the skill it is in.
const MAX_DEPTH: usize = 32;

/// First URI of what is taken → its backend.
type Taken = BTreeMap<String, Arc<str>>;

/// Marks the skills that lie in, or around, what another backend has.
pub(super) fn settle(skills: &mut [Item], resources: &[Item]) {
    let owned = |item: &Item| (item.route.qualified.to_string(), Arc::clone(&item.route.backend));
    let mut taken: Taken = resources.iter().map(owned).collect();
    for skill in skills {
        let route = &skill.route;
        let Some(root) = skills::root(&route.local) else { continue };
        if route.local == route.qualified && !overlaps(&taken, root, &route.backend) {
            taken.insert(root.to_owned(), Arc::clone(&route.backend));
        } else {
            mark(skill);
        }
    }
}

fn overlaps(taken: &Taken, root: &str, backend: &Arc<str>) -> bool {
    let inside = format!("{root}/");
    let below = taken.range::<str, _>((Bound::Included(inside.as_str()), Bound::Unbounded));
    let mut below = below.take_while(|(uri, _)| uri.starts_with(&inside));
    let mut above = containing(root).filter_map(|uri| taken.get(uri));
    above.any(|owner| owner != backend) || below.any(|(_, owner)| owner != backend)
}

/// `uri` and the directories it is in, nearest first.
pub(super) fn containing(uri: &str) -> impl Iterator<Item = &str> {
    let above = uri.rmatch_indices('/').take(MAX_DEPTH).filter_map(|(at, _)| uri.get(..at));
    std::iter::once(uri).chain(above)
}

fn mark(skill: &mut Item) {
    let slug = uris::slug(&skill.route.backend);
    let Some(mut entry) = Object::parse(&skill.entry) else { return };
    let qualified = uris::marked(&slug, &skill.route.local);
    entry.set("uri", RawJson::of(&qualified));
    let files = entry.get("resources").map(RawJson::elements).unwrap_or_default();
    if !files.is_empty() {
        let files: Vec<RawJson> = files.iter().map(|file| marked(file, &slug)).collect();
        entry.set("resources", RawJson::of(&files));
    }
    skill.route.qualified = qualified.into();
    skill.entry = entry.to_json();
}

fn marked(file: &RawJson, slug: &str) -> RawJson {
    let uri = file.get("uri").and_then(|uri| uri.string().map(|uri| uris::marked(slug, &uri)));
    let (Some(uri), Some(mut object)) = (uri, Object::parse(file)) else { return file.clone() };
    object.set("uri", RawJson::of(&uri));
    object.to_json()
}
