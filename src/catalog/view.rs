//! What does one principal see of the catalog?

use std::collections::HashSet;

use super::catalog::Catalog;
use super::known_backend::Backend;
use super::route::{Item, Route};
use crate::protocol::ListKind;

impl Catalog {
    /// The part of this catalog that `allows` lets through, with the same names, and with cursors and
    /// changes of its own. A backend of which nothing is seen is not mentioned at all.
    pub fn view(&self, allows: impl Fn(ListKind, &Route) -> bool) -> Catalog {
        let items = ListKind::ALL.map(|kind| {
            let kept = self.list(kind).items().iter().filter(|item| allows(kind, &item.route));
            kept.cloned().collect::<Vec<Item>>()
        });
        let seen: HashSet<&str> = items.iter().flatten().map(|item| &*item.route.backend).collect();
        let backends = self.backends.iter().filter(|backend| seen.contains(&*backend.owner.backend));
        let backends = backends.map(|backend| self.narrow(backend, &allows)).collect();
        let [tools, ..] = &items;
        let tools = tools.iter().filter_map(|item| {
            let name = &item.route.qualified;
            self.tools.get(name).map(|tool| (name.clone(), tool.clone()))
        });
        let tools = tools.collect();
        let mut view = Self::assemble(self.generation, self.page_size, items, tools, backends);
        view.owners.is_partial = self.owners.is_partial;
        view
    }

    /// `backend` without the URIs that are not allowed. If any is not, links to URIs in no list are
    /// refused as well: nobody can say whether they would have been allowed.
    fn narrow(&self, backend: &Backend, allows: &impl Fn(ListKind, &Route) -> bool) -> Backend {
        let kinds = [ListKind::Resources, ListKind::ResourceTemplates, ListKind::Skills];
        let denied = kinds.into_iter().flat_map(|kind| {
            let routes = self.list(kind).items().iter().map(|item| &item.route);
            routes.filter(move |route| route.backend == backend.owner.backend && !allows(kind, route))
        });
        let mut backend = backend.clone();
        for route in denied {
            backend.owner.deny(&route.local);
            backend.owner.close();
        }
        backend
    }
}
