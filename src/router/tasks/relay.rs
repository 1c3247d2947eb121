//! How do a modern client and a modern backend speak of a task? As without a gateway, but for its id.

use crate::catalog::Route;
use crate::protocol::{Era, Object, RawJson, RpcError, tasks};

use super::super::driver::Driver;
use super::super::exchange::Event;
use super::super::request::{Inbound, Principal};
use super::super::router::Router;
use super::super::target::Target;
use super::id::{TaskId, unknown};

impl Driver {
    /// Sends a request about a task to the backend that has it.
    pub(in super::super) async fn open_task(&mut self) -> Option<Event> {
        let (id, shown) = match self.task_id() {
            Ok(found) => found,
            Err(error) => return Some(self.refuse(error)),
        };
        if id.is_held {
            let answer = self.answer_held(&id.local, &shown);
            return Some(answer.map_or_else(|error| self.refuse(error), |result| Event::Answer(Ok(result))));
        }
        let params = self.inbound.params.as_ref().and_then(Object::parse).unwrap_or_default();
        let route = Route { backend: id.backend.into(), local: id.local.into(), qualified: shown.into() };
        let target = Target { route, replica: id.replica, tool: None, params, is_followed: false };
        self.account.begin(&self.router, &target, self.inbound.routed);
        self.call(target, 0).await
    }

    /// The task that the client asks about, and the id it does that with.
    fn task_id(&self) -> Result<(TaskId, String), RpcError> {
        if !declares_tasks(&self.inbound) {
            return Err(tasks::not_declared());
        }
        let given = self.inbound.params.as_ref().and_then(|params| params.get("taskId"));
        let shown = given.as_ref().and_then(RawJson::string).ok_or_else(unknown)?;
        let id = self.router.task(&shown, &self.inbound.caller.principal)?;
        Ok((id, shown.into_owned()))
    }

    /// A call's answer that says that a task goes on with it, under the id that this client may use.
    pub(in super::super) fn task_created(
        &self,
        target: &Target,
        result: &RawJson,
    ) -> Result<RawJson, RawJson> {
        let local = result.get("taskId").and_then(|id| id.string().map(String::from));
        let Some((local, mut object)) = local.zip(Object::parse(result)) else {
            return Err(RpcError::internal("the backend made a task without an id").to_json());
        };
        if !declares_tasks(&self.inbound) {
            return Err(RpcError::internal("the backend made a task for a client that has none").to_json());
        }
        let identity = self.router.identity(&target.route.backend).filter(|_| target.replica.is_none());
        let id = TaskId { identity, ..TaskId::relayed(&target.route.backend, target.replica.clone(), local) };
        let sealed = id.seal(&self.router.sealer(), self.inbound.caller.principal.name());
        let sealed = sealed.ok_or_else(|| RpcError::internal("failed to seal the id of a task").to_json())?;
        object.set("taskId", RawJson::of(&sealed));
        Ok(object.to_json())
    }
}

impl Router {
    /// The task that `shown` stands for, if it was given to `principal` and the server that has it is still the one.
    pub(super) fn task(&self, shown: &str, principal: &Principal) -> Result<TaskId, RpcError> {
        let id = TaskId::open(&self.sealer(), shown, principal.name())?;
        let is_same = id.identity.is_none() || id.identity == self.identity(&id.backend);
        is_same.then_some(id).ok_or_else(unknown)
    }
}

/// How a task stands, under the id that the client asked with.
pub(in super::super) fn shown(target: &Target, result: RawJson) -> RawJson {
    let Some(mut object) = Object::parse(&result) else { return result };
    object.set("taskId", RawJson::of(&*target.route.qualified));
    object.to_json()
}

/// Whether the client said with this request that it can follow a task.
pub(in super::super) fn declares_tasks(inbound: &Inbound) -> bool {
    let caller = &inbound.caller;
    caller.revision.era() == Era::Modern && tasks::are_declared(&caller.capabilities)
}
