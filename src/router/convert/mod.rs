//! What is changed in what a backend says so that this client can read it?
//!
//! | file | the question it answers |
//! |---|---|
//! | `content.rs` | what does a client get of content its revision does not know? |
//! | `errors.rs` | how does the client's era spell a backend's error? |
//! | `notices.rs` | what is put right in progress and log messages? |
//! | `questions.rs` | how does a client read a form of a later revision? |
//! | `uris.rs` | where do URIs stand in an answer that clients know under another name? |
//!
//! An answer with nothing to change stays as it is, byte for byte.

mod content;
mod errors;
mod notices;
mod questions;
mod uris;

pub(super) use errors::{pages, pages_to_visit};
pub(super) use notices::{log_message, progress};
pub(super) use questions::readable as readable_question;

use crate::catalog::{Catalog, Route};
use crate::protocol::{Era, Object, RawJson, Routed};

use super::request::Inbound;

/// A backend's result as this client reads it. URIs come first: what becomes text names them too.
pub(super) fn result(catalog: &Catalog, route: &Route, inbound: &Inbound, result: RawJson) -> RawJson {
    let shown = uris::shown(catalog, route, inbound.routed, result);
    content::readable(inbound.routed, inbound.caller.revision, shown)
}

/// A task that a modern backend tells of without being asked, as clients read it.
pub(super) fn task(catalog: &Catalog, route: &Route, task: RawJson) -> RawJson {
    uris::shown(catalog, route, Routed::GetTask, task)
}

/// The error of a backend that was asked in the era `asked_in`, as this client reads it; towards a model some errors
/// become results.
pub(super) fn error(
    route: &Route,
    inbound: &Inbound,
    asked_in: Era,
    error: RawJson,
) -> Result<RawJson, RawJson> {
    errors::shown(inbound, asked_in, uris::of_error(route, error))
}

/// `result` with what `change` makes of its content blocks; itself if it makes nothing of any.
fn each_block(
    routed: Routed,
    result: RawJson,
    change: impl Fn(usize, &RawJson) -> Option<RawJson>,
) -> RawJson {
    let changed = match routed {
        Routed::CallTool => with_member(&result, "content", |blocks| with_elements(blocks, change)),
        Routed::GetPrompt => with_member(&result, "messages", |messages| {
            with_elements(messages, |at, message| with_member(message, "content", |block| change(at, block)))
        }),
        Routed::GetTask => with_member(&result, "result", |done| {
            with_member(done, "content", |blocks| with_elements(blocks, change))
        }),
        Routed::ReadResource | Routed::GetSkill | Routed::ReadDirectory => None,
        Routed::Complete | Routed::UpdateTask | Routed::CancelTask | Routed::Vendor => None,
    };
    changed.unwrap_or(result)
}

/// `value` with its member `key` changed; `None` if there is none, or nothing to change in it.
fn with_member(
    value: &RawJson,
    key: &str,
    change: impl FnOnce(&RawJson) -> Option<RawJson>,
) -> Option<RawJson> {
    let changed = change(&value.get(key)?)?;
    let mut object = Object::parse(value)?;
    object.set(key, changed);
    Some(object.to_json())
}

/// `array` with some of its elements changed; `None` if none is.
fn with_elements(array: &RawJson, change: impl Fn(usize, &RawJson) -> Option<RawJson>) -> Option<RawJson> {
    let mut elements = array.elements();
    let mut is_changed = false;
    for (at, element) in elements.iter_mut().enumerate() {
        if let Some(changed) = change(at, element) {
            *element = changed;
            is_changed = true;
        }
    }
    is_changed.then(|| RawJson::of(&elements))
}

/// The string that member `key` of `value` is.
fn text_of(value: &RawJson, key: &str) -> Option<String> {
    value.get(key)?.string().map(String::from)
}
