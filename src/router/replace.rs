//! How do other backends take the place of these, while calls and subscriptions go on?

use std::sync::Arc;

use crate::backend::{Admission, Failure, KnowsPrincipal, Wants};
use crate::catalog::CatalogSettings;

use super::fleet::{Fleet, Member};
use super::router::Router;

impl Router {
    /// Serves `fleet` from now on: requests that come are routed by it, those under way stay where they are,
    /// and clients are told once if they see a difference.
    pub fn replace(&self, fleet: Fleet, settings: CatalogSettings) {
        {
            // Nobody subscribes between the look at who watches and the change.
            let registry = self.registry().lock();
            for member in fleet.members() {
                let watched = registry.of_backend(member.backend.name());
                watch_all(member, &watched);
                self.followers().go_on_with(&member.backend);
            }
            self.set_settings(settings);
            self.set_fleet(fleet);
        }
        self.refresh();
    }

    /// Ends what backends keep for principals that are not let in any more.
    pub fn dismiss(&self, is_known: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let is_known: KnowsPrincipal = Arc::new(is_known);
        self.backends().iter().for_each(|backend| backend.dismiss(&is_known));
    }

    /// Has a backend that is about to serve told of the resources that clients of its name watch.
    pub fn prepare(self: &Arc<Self>, member: &Member) {
        self.hear_updates(&member.backend);
        self.hear_tasks(&member.backend);
        self.hear_visits(&member.backend);
        let watched = self.registry().lock().of_backend(member.backend.name());
        watch_all(member, &watched);
        self.followers().go_on_with(&member.backend);
    }

    /// Leave to send one call. A backend that was replaced meanwhile has sent nothing, so its successor is
    /// asked in its place.
    ///
    /// # Errors
    /// Nothing was sent; see [`Backend::admit`](crate::backend::Backend::admit).
    pub(super) async fn admit(&self, name: &str, wants: &Wants) -> Result<Admission, Failure> {
        let taken_out = || Failure::unavailable("the backend was taken out of the configuration");
        let mut backend = self.backend(name).ok_or_else(taken_out)?;
        loop {
            let refused = match backend.admit(wants).await {
                Ok(admission) => return Ok(admission),
                Err(refused) => refused,
            };
            match self.backend(name) {
                Some(successor) if !Arc::ptr_eq(&successor, &backend) => backend = successor,
                Some(_) => return Err(refused),
                None => return Err(taken_out()),
            }
        }
    }
}

fn watch_all(member: &Member, watched: &[Arc<str>]) {
    for local in watched {
        member.backend.watch(local);
    }
}
