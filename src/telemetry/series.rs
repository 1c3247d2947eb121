//! How many names may a backend have in the metrics?
//!
//! A backend chooses the names of its tools, and may choose new ones all the time: each that is called costs some
//! thirty series, which stay until they were idle for [`IDLE`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::recorder::IDLE;

/// Names of one backend that have series of their own.
pub(super) const MAX_NAMES: usize = 1_000;
/// What counts the calls of all further names; no tool can be called so.
pub(super) const OTHER: &str = "(other)";
/// A name that was not asked for in so long has no series any more.
const FORGOTTEN: Duration = Duration::from_secs(2 * IDLE.as_secs());

static NAMES: Mutex<Option<Names>> = Mutex::new(None);

/// The names of each backend, and when each was last asked for.
#[derive(Default)]
struct Names(HashMap<Box<str>, HashMap<Box<str>, Instant>>);

/// The label under which `name` of `backend` is counted. To be asked again at least every [`IDLE`].
pub(super) fn bounded<'a>(backend: &str, name: &'a str) -> &'a str {
    let mut names = NAMES.lock();
    match names.get_or_insert_default().admits(backend, name, Instant::now()) {
        true => name,
        false => OTHER,
    }
}

impl Names {
    fn admits(&mut self, backend: &str, name: &str, now: Instant) -> bool {
        let known = self.0.entry(backend.into()).or_default();
        if let Some(asked) = known.get_mut(name) {
            *asked = now;
            return true;
        }
        if known.len() >= MAX_NAMES {
            known.retain(|_, asked| now.saturating_duration_since(*asked) < FORGOTTEN);
        }
        let has_room = known.len() < MAX_NAMES;
        if has_room {
            known.insert(name.into(), now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_renames_its_tools_has_so_many_names_and_no_more() {
        let (mut names, start) = (Names::default(), Instant::now());
        for number in 0..MAX_NAMES {
            assert!(names.admits("renaming", &number.to_string(), start));
        }
        assert!(!names.admits("renaming", "one more", start));
        assert!(names.admits("renaming", "7", start), "it is known");
        assert!(names.admits("other", "one more", start), "each backend has its own");
        assert!(
            names.admits("renaming", "one more", start + FORGOTTEN),
            "the first ones have no series any more"
        );
    }
}
