//! What does an open `subscriptions/listen` send?

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Server;
use super::notices::resource_updated;
use crate::protocol::{Era, Id, Object, RawJson, RpcError, frame, meta_key, method};
use crate::router::{Caller, Changes, Router, TaskUpdates, Updates};

/// A client that listens (MCP 2026-07-28, basic/patterns/subscriptions).
pub(super) struct Subscription {
    id: Id,
    honoured: Filter,
    router: Arc<Router>,
    changes: Changes,
    updates: Updates,
    arrived: watch::Receiver<()>,
    caller: Caller,
    tasks: TaskUpdates,
    task_arrived: watch::Receiver<()>,
}

/// The kinds of notification that can be asked for. Others are left out of the acknowledgement.
#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_subscriptions: Vec<String>,
    /// Of the tasks extension.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    task_ids: Vec<String>,
}

impl Filter {
    fn wants(&self, name: &str) -> bool {
        match name {
            method::TOOLS_CHANGED => self.tools_list_changed,
            method::PROMPTS_CHANGED => self.prompts_list_changed,
            method::RESOURCES_CHANGED => self.resources_list_changed,
            _ => false,
        }
    }
}

impl Subscription {
    /// # Errors
    /// −32602 without a filter.
    pub(super) fn open(
        server: &Server,
        caller: Caller,
        id: &Id,
        params: Option<&RawJson>,
    ) -> Result<Self, RpcError> {
        let filter = params.and_then(|params| params.get("notifications"));
        let honoured = filter.as_ref().and_then(RawJson::to::<Filter>).ok_or_else(|| {
            RpcError::invalid_params("`notifications` must say which notifications are wanted")
        })?;
        let (router, updates) = (Arc::clone(&server.router), Updates::of(&caller.principal));
        let (changes, arrived) = (router.changes(), updates.arrived());
        let tasks = TaskUpdates::default();
        let task_arrived = tasks.arrived();
        let id = id.clone();
        Ok(Self { id, honoured, router, changes, updates, arrived, caller, tasks, task_arrived })
    }

    /// The first message: what will be sent. Waits a little for the backends of the resources.
    pub(super) async fn acknowledge(&mut self) -> Bytes {
        let wanted = std::mem::take(&mut self.honoured.resource_subscriptions);
        self.honoured.resource_subscriptions =
            self.router.subscribe_all(&self.updates, wanted, Era::Modern).await;
        let wanted = std::mem::take(&mut self.honoured.task_ids);
        if !wanted.is_empty() {
            self.honoured.task_ids = self.router.follow(&self.tasks, &self.caller, wanted).await;
        }
        let mut params = self.tagged();
        params.set("notifications", RawJson::of(&self.honoured));
        frame::notification(method::ACKNOWLEDGED, Some(&params.to_json()))
    }

    /// The next messages; `None` when the gateway stops. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Vec<Bytes>> {
        tokio::select! {
            changed = self.changes.next() => {
                let params = self.tagged().to_json();
                let wanted = changed?.into_iter().filter(|name| self.honoured.wants(name));
                Some(wanted.map(|name| frame::notification(name, Some(&params))).collect())
            }
            // The sender lives as long as `updates`.
            _ = self.arrived.changed() => {
                let updated = self.updates.take();
                Some(updated.iter().map(|uri| resource_updated(uri, self.tagged())).collect())
            }
            _ = self.task_arrived.changed() => {
                Some(self.tasks.take().into_iter().map(|task| self.task_changed(&task)).collect())
            }
        }
    }

    /// The last message: the gateway ends the subscription.
    pub(super) fn result(&self) -> Bytes {
        let mut result = self.tagged();
        result.set("resultType", RawJson::of("complete"));
        frame::result(&self.id, result.to_json())
    }

    fn task_changed(&self, task: &RawJson) -> Bytes {
        let mut params = Object::parse(task).unwrap_or_default();
        let mut meta = params.get("_meta").and_then(Object::parse).unwrap_or_default();
        meta.set(meta_key::SUBSCRIPTION_ID, self.id.raw().clone());
        params.set("_meta", meta.to_json());
        frame::notification(method::TASK_CHANGED, Some(&params.to_json()))
    }

    fn tagged(&self) -> Object {
        let mut meta = Object::new();
        meta.set(meta_key::SUBSCRIPTION_ID, self.id.raw().clone());
        let mut tagged = Object::new();
        tagged.set("_meta", meta.to_json());
        tagged
    }
}
