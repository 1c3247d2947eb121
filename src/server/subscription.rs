//! What does an open `subscriptions/listen` send?

use bytes::Bytes;
use serde::Deserialize;

use super::Server;
use crate::protocol::{Id, Object, RawJson, RpcError, frame, meta_key, method};
use crate::router::Changes;

/// A client that listens (MCP 2026-07-28, basic/patterns/subscriptions).
pub(super) struct Subscription {
    id: Id,
    honoured: Filter,
    changes: Changes,
}

/// The kinds of notification that can be asked for. Others are left out of the acknowledgement.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
}

impl Filter {
    fn wants(self, name: &str) -> bool {
        match name {
            method::TOOLS_CHANGED => self.tools_list_changed,
            method::PROMPTS_CHANGED => self.prompts_list_changed,
            method::RESOURCES_CHANGED => self.resources_list_changed,
            _ => false,
        }
    }

    fn to_json(self) -> RawJson {
        let kinds = [
            ("toolsListChanged", self.tools_list_changed),
            ("promptsListChanged", self.prompts_list_changed),
            ("resourcesListChanged", self.resources_list_changed),
        ];
        let mut honoured = Object::new();
        for (kind, _) in kinds.into_iter().filter(|(_, wanted)| *wanted) {
            honoured.set(kind, RawJson::of(&true));
        }
        honoured.to_json()
    }
}

impl Subscription {
    /// # Errors
    /// −32602 without a filter.
    pub(super) fn open(server: &Server, id: &Id, params: Option<&RawJson>) -> Result<Self, RpcError> {
        let filter = params.and_then(|params| params.get("notifications"));
        let honoured = filter.as_ref().and_then(RawJson::to::<Filter>).ok_or_else(|| {
            RpcError::invalid_params("`notifications` must say which notifications are wanted")
        })?;
        Ok(Self { id: id.clone(), honoured, changes: server.router.changes() })
    }

    /// The first message: what will be sent.
    pub(super) fn acknowledgement(&self) -> Bytes {
        let mut params = self.tagged();
        params.set("notifications", self.honoured.to_json());
        frame::notification(method::ACKNOWLEDGED, Some(&params.to_json()))
    }

    /// The next messages; `None` when the gateway stops. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Vec<Bytes>> {
        let changed = self.changes.next().await?;
        let wanted = changed.into_iter().filter(|name| self.honoured.wants(name));
        let params = self.tagged().to_json();
        Some(wanted.map(|name| frame::notification(name, Some(&params))).collect())
    }

    /// The last message: the gateway ends the subscription.
    pub(super) fn result(&self) -> Bytes {
        let mut result = self.tagged();
        result.set("resultType", RawJson::of("complete"));
        frame::result(&self.id, &result.to_json())
    }

    fn tagged(&self) -> Object {
        let mut meta = Object::new();
        meta.set(meta_key::SUBSCRIPTION_ID, self.id.raw().clone());
        let mut tagged = Object::new();
        tagged.set("_meta", meta.to_json());
        tagged
    }
}
