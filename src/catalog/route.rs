//! Where does an entry lead?

use std::sync::Arc;

use crate::protocol::RawJson;

/// From what clients say to what a backend understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The backend's name.
    pub backend: Arc<str>,
    /// The name, URI or template as the backend knows it.
    pub local: Arc<str>,
    /// The name, URI or template as clients know it.
    pub qualified: Arc<str>,
}

/// One entry as clients see it, and where it leads.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) route: Route,
    pub(super) entry: RawJson,
}
