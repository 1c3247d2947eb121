//! Who gets a request that no specification names?
//!
//! Nothing in it says whose it is. A gateway with one backend passes it on; one with several refuses it, because a guess
//! could act on the wrong server. One that shows only a part of its backend refuses it too: what the operator hides could
//! be reached this way.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::Route;
use crate::protocol::{RawJson, Routed, RpcError, code, is_vendor_request, skills, tasks};

use super::exchange::Exchange;
use super::fleet::{Fleet, Member};
use super::request::{Caller, Inbound};
use super::router::Router;

impl Router {
    /// Begins an exchange for a request that the gateway itself does not know.
    ///
    /// # Errors
    /// −32601 unless it is a vendor's, and there is just one backend that can be meant.
    pub fn call_vendor(
        self: &Arc<Self>,
        method: &str,
        params: Option<RawJson>,
        caller: Caller,
    ) -> Result<Exchange, RpcError> {
        if !is_vendor_request(method) {
            return Err(unknown("no such method in this revision"));
        }
        let vendor_method = Some(Arc::from(method));
        route(&self.fleet(), vendor_method.as_ref())?;
        Ok(self.call(Inbound { routed: Routed::Vendor, vendor_method, params, caller }))
    }
}

/// What the only backend declares that the gateway itself does not know.
#[derive(Debug, Default)]
pub(super) struct VendorCapabilities {
    pub(super) experimental: Map<String, Value>,
    pub(super) extensions: Map<String, Value>,
}

impl Fleet {
    /// Nothing where there are several backends: a client could not use what only one of them has.
    pub(super) fn vendor_capabilities(&self) -> VendorCapabilities {
        let Some(declared) = self.sole().and_then(Member::capabilities) else {
            return VendorCapabilities::default();
        };
        let members = |key| declared.get(key).and_then(|value| value.to()).unwrap_or_default();
        let mut extensions: Map<String, Value> = members("extensions");
        extensions.retain(|id, _| id != tasks::EXTENSION && id != skills::EXTENSION);
        VendorCapabilities { experimental: members("experimental"), extensions }
    }
}

/// Where a vendor's request goes.
pub(super) fn route(fleet: &Fleet, method: Option<&Arc<str>>) -> Result<Route, RpcError> {
    let (Some(owner), Some(method)) = (fleet.sole(), method) else {
        return Err(unknown(
            "no such method in this revision, and a method of a vendor is passed on only where there is one backend \
             of which nothing is hidden",
        ));
    };
    Ok(Route {
        backend: Arc::from(owner.backend.name()),
        local: Arc::clone(method),
        qualified: Arc::clone(method),
    })
}

fn unknown(message: &str) -> RpcError {
    RpcError::new(code::METHOD_NOT_FOUND, message)
}
