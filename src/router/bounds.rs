//! How full is what all clients share here?

use super::parking::MAX_PARKED;
use super::router::Router;
use super::subscriptions::OVERALL;

impl Router {
    /// Each bound with its name, the most there can be and how much is taken.
    pub fn bounds(&self) -> [(&'static str, usize, usize); 2] {
        [
            ("parked_calls", MAX_PARKED, self.parking().len()),
            ("watched_resources", OVERALL, self.registry().lock().count()),
        ]
    }
}
