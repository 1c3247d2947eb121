//! How full is what all clients share?

use super::{Server, http};
use crate::budget;
use crate::telemetry::process;

impl Server {
    /// Shows the bounds that clients share, and how much of each is taken, as they are now.
    pub fn show_bounds(&self) {
        process::limit("sessions", self.policy().limits.sessions, self.sessions.len());
        if let Some((used, limit)) = self.connection_usage() {
            process::limit("connections", limit, used);
        }
        let (limit, used) = budget::usage();
        process::limit("buffered_bytes", limit, used);
        let (limit, used) = http::replay_usage();
        process::limit("replay_bytes", limit, used);
        for (bound, limit, used) in self.router.bounds() {
            process::limit(bound, limit, used);
        }
    }
}
