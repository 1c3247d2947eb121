//! What becomes of a request for something that no known backend has?
//!
//! It may belong to a backend of which nothing is known yet. While the first attempt to reach that one is under way the
//! request waits for it, as a call of a known tool does; when the attempt has failed the answer says so, with the time
//! of the next one. Names that are like it at other backends would lead a model astray.

use crate::catalog::Route;
use crate::protocol::RpcError;

use super::driver::Driver;
use super::exchange::Event;
use super::target::{Target, named, resolve};

impl Driver {
    /// The target of a request that the catalog of this generation did not resolve, if it can be found out; otherwise
    /// its answer.
    pub(super) async fn unresolved(&mut self, error: RpcError, generation: u64) -> Result<Target, Event> {
        let Some(named) = named(&self.inbound) else { return Err(self.refuse(error)) };
        let owner =
            |driver: &Self| driver.router.fleet().unknown_owner(&named).map(|owner| owner.backend.clone());
        // What was reached a moment ago is not in the catalog yet.
        self.router.refresh_if_due();
        if let Some(owner) = owner(self).filter(|owner| owner.is_starting()) {
            self.router.await_first_attempt(owner).await;
        }
        let catalog = self.router.catalog();
        let error = match catalog.generation() {
            same if same == generation => error,
            _ => match resolve(&self.router, &catalog, &self.inbound) {
                Ok(target) => return Ok(target),
                Err(error) => error,
            },
        };
        let Some(owner) = owner(self) else { return Err(self.refuse(error)) };
        let route = Route {
            backend: owner.name().into(),
            local: named.text().into(),
            qualified: named.text().into(),
        };
        let target = Target::of_route(route);
        self.account.begin(&self.router, &target, self.inbound.routed);
        let failure = self.failure(&owner.refusal(), &target);
        self.note_failure(&failure);
        // An error also for a tool: nobody was shown one of that name.
        Err(Event::Answer(Err(failure.error_value())))
    }
}
