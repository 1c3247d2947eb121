//! When is a call made once more?
//!
//! Never when its client has heard of it, and never twice: a call that was not sent, or may run twice; and one
//! that its backend refused unread, once the reason is put right.

use std::sync::Arc;

use crate::backend::{Failure, Remedy};
use crate::protocol::RawJson;

use super::driver::{Calling, Driver};
use super::exchange::Event;
use super::target::Target;

impl Driver {
    /// Makes a call once more that its backend did not get, or that may run twice; nobody has heard of it yet.
    pub(super) async fn failed(&mut self, calling: Calling, failure: Failure) -> Option<Event> {
        let Calling { call, target, rounds, heard, first } = calling;
        let failure = failure.after(first.as_ref());
        if heard || !call.may_repeat(&failure) {
            return Some(self.fail(self.failure(&failure, &target)));
        }
        let (first_made, failed_at) = (call.first_made(), call.replica().map(str::to_owned));
        // What it holds of the backend is needed for the next one.
        drop(call);
        match self.admit(&target, Some(first_made), failed_at).await {
            Ok(admission) => self.begin(admission, target, rounds, Some(failure)),
            Err(refusal) => {
                let failure = failure.retry_after(refusal.retry_after);
                Some(self.fail(self.failure(&failure, &target)))
            }
        }
    }

    /// Takes an answer that says the call was refused unread, unless another one is worth it.
    pub(super) async fn refused(
        &mut self,
        mut calling: Calling,
        outcome: Result<RawJson, RawJson>,
    ) -> Option<Event> {
        let anew = match calling.call.put_right().await {
            Some(remedy) => {
                let target = self.anew(&calling.target, remedy).await;
                target.filter(|_| calling.call.may_follow(remedy))
            }
            None => None,
        };
        let Some(mut target) = anew else {
            return self.answered(calling, outcome);
        };
        let Calling { call, rounds, .. } = calling;
        let first_made = call.first_made();
        // What was put right was put right there.
        target.replica = call.replica().map(str::to_owned);
        drop(call);
        match self.admit(&target, Some(first_made), None).await {
            Ok(admission) => self.begin(admission, target, rounds, None),
            // What the backend said tells more than why it cannot be asked again.
            Err(_) => self.conclude(target, rounds, outcome),
        }
    }

    /// The same target as the catalog has it now; none if the call would only be refused again.
    async fn anew(&self, target: &Target, remedy: Remedy) -> Option<Target> {
        let same = Target {
            route: target.route.clone(),
            tool: target.tool.clone(),
            params: target.params.clone(),
            replica: target.replica.clone(),
            is_followed: target.is_followed,
        };
        let Some(old) = target.tool.as_ref().filter(|_| remedy == Remedy::Tools) else {
            return Some(same);
        };
        self.router.refresh();
        let new = Arc::clone(self.router.catalog().tool(&target.route.qualified)?);
        let asks_otherwise = new.route == old.route && new.param_headers != old.param_headers;
        let anew = Target { tool: Some(new), ..same };
        (asks_otherwise && self.check_arguments(&anew).await.is_ok()).then_some(anew)
    }
}
