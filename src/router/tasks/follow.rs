//! How does the gateway go on with a call after its client was told that it is a task?

use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::sleep_until;

use crate::backend::{CallEvent, Failure, FailureKind, Sent};
use crate::budget;
use crate::protocol::{ClientCapabilities, Object, RawJson, Routed, RpcError};
use crate::telemetry::Outcome;

use super::super::account::Account;
use super::super::answer::outcome_of;
use super::super::convert;
use super::super::driver::{Calling, Driver, Stage};
use super::super::exchange::Event;
use super::super::failure::CallFailure;
use super::super::parking::Asked;
use super::super::question::{not_declared, too_many};
use super::super::request::Inbound;
use super::held::{HeldTask, KEPT};
use super::id::{TaskId, unknown};
use super::relay::declares_tasks;

impl Driver {
    /// The backend runs the call as a task, which stands as `told`: a client that can follow is answered, any other
    /// waits on.
    pub(in super::super) fn task_stands(
        &mut self,
        mut calling: Box<Calling>,
        told: RawJson,
    ) -> Option<Event> {
        if !declares_tasks(&self.inbound) {
            self.stage = Stage::Calling(calling);
            return None;
        }
        calling.call.outlive(KEPT);
        let principal = self.inbound.caller.principal.clone();
        let route = calling.target.route.clone();
        let sealed = fresh_key().and_then(|key| {
            let id = TaskId::held(&route.backend, &key);
            Some((id.seal(&self.router.sealer(), principal.name())?, key))
        });
        let Some((id, key)) = sealed else {
            return Some(self.refuse(RpcError::internal("failed to seal the id of a task")));
        };
        let task = HeldTask::new(principal, route, told);
        if !self.router.held().keep(&key, &task) {
            let failure = Failure::new(FailureKind::Busy, Sent::Maybe, "too many tasks are followed");
            return Some(self.fail(self.failure(&failure, &calling.target)));
        }
        let following = Following {
            calling,
            capabilities: self.capabilities(),
            inbound: self.inbound.clone(),
            account: std::mem::replace(&mut self.account, Account::new(self.inbound.caller.clone())),
        };
        let router = Arc::downgrade(&self.router);
        let mut created = task.shown(&id);
        let run = self.router.held().follow(async move { following.run(&task).await });
        tokio::spawn(async move {
            run.await;
            router.upgrade().inspect(|router| router.held().make_room());
        });
        created.set("resultType", RawJson::of("task"));
        Some(Event::Answer(Ok(created.to_json())))
    }

    /// Answers a request about a task that stands here.
    pub(super) fn answer_held(&self, key: &str, shown: &str) -> Result<RawJson, RpcError> {
        let task = self.router.held().find(key).ok_or_else(unknown)?;
        match self.inbound.routed {
            Routed::UpdateTask => {
                let responses = self.inbound.params.as_ref().and_then(|params| params.get("inputResponses"));
                task.answer(&responses.as_ref().and_then(Object::parse).unwrap_or_default());
                Ok(RawJson::empty_object())
            }
            Routed::CancelTask => {
                task.cancel();
                Ok(RawJson::empty_object())
            }
            _ => self.standing(&task, shown),
        }
    }

    /// How a task stands. What it came to is written anew for each who asks, however often: where there is no room
    /// for that, it can be asked for again.
    fn standing(&self, task: &HeldTask, shown: &str) -> Result<RawJson, RpcError> {
        let mut room = budget::Held::default();
        if !room.cover(task.size()) {
            let message = "the gateway holds as much of large messages as it may; ask again later";
            return Err(RpcError::internal(message));
        }
        let standing = task.shown(shown).to_json();
        let read = convert::result(&self.router.catalog(), &task.route, &self.inbound, standing);
        Ok(RawJson::authored(room.keep(read.into_bytes())))
    }
}

/// A call that goes on for nobody in particular.
struct Following {
    calling: Box<Calling>,
    capabilities: ClientCapabilities,
    /// The request that began it.
    inbound: Inbound,
    account: Account,
}

impl Following {
    /// Goes on to the end, or until the task is taken back or expires.
    async fn run(mut self, task: &HeldTask) {
        let outcome = loop {
            tokio::select! {
                biased;
                () = task.cancelled.cancelled() => break Outcome::Cancelled,
                () = sleep_until(task.expires) => break Outcome::Timeout,
                () = task.answered.notified() => {
                    for (id, response) in task.take_answers() {
                        self.calling.call.respond(&id, &Ok(response));
                    }
                }
                event = self.calling.call.next() => {
                    if let Some(outcome) = self.take(task, event) {
                        break outcome;
                    }
                }
            }
        };
        self.account.end(outcome);
    }

    /// Takes an event; how the call ended, if it did.
    fn take(&mut self, task: &HeldTask, event: CallEvent) -> Option<Outcome> {
        match event {
            // There is no stream to tell it on.
            CallEvent::Notification { .. } => None,
            CallEvent::Task(told) => {
                task.told(told);
                None
            }
            CallEvent::Question { id, method, params } => {
                if !self.capabilities.allow(&method, params.as_ref()) {
                    self.calling.call.respond(&id, &Err(not_declared(&method)));
                } else if !task.may_be_asked() {
                    self.calling.call.respond(&id, &Err(too_many()));
                } else {
                    task.asked(Asked { id, method, params });
                }
                None
            }
            CallEvent::Answer(outcome) => {
                let how = outcome_of(&outcome);
                task.over(outcome);
                Some(how)
            }
            CallEvent::Failed(failure) => {
                let route = &self.calling.target.route;
                let failure =
                    CallFailure::of_backend(&failure, &self.inbound, &route.qualified, &route.backend);
                self.account.failed(failure.error(), failure.logged());
                let how = failure.outcome();
                task.over(failure.into_answer(Routed::CallTool));
                Some(how)
            }
        }
    }
}

/// 128 random bits; `None` if the system has none to give.
fn fresh_key() -> Option<String> {
    let mut key = [0u8; 16];
    rand::fill(&mut key).ok()?;
    Some(URL_SAFE_NO_PAD.encode(key))
}
