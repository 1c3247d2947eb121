//! What of the extension for skills is there for clients, and where do they go on in a directory?

use std::time::Duration;

use serde_json::{Value, json};

use crate::protocol::{ListKind, Object, RawJson, Routed, RpcError, skills};

use super::driver::Driver;
use super::fleet::Member;
use super::router::Router;
use super::seal::{Sealed, expiry};
use super::target::Target;

/// Within which the next page of a directory must be asked for.
const CURSOR_LIFE: Duration = Duration::from_secs(60 * 60);

impl Router {
    /// What clients are told of the extension; nothing where no backend has skills.
    pub(super) fn skills(&self) -> Option<Value> {
        let fleet = self.fleet();
        let mut declared = fleet.members().iter().filter_map(Member::skills).peekable();
        declared.peek()?;
        Some(match declared.any(|declared| skills::reads_directories(&declared)) {
            true => json!({ "directoryRead": true }),
            false => json!({}),
        })
    }

    /// Whether there is anybody to answer `method`: methods of the extension are unknown where no backend has it.
    pub fn answers(&self, method: &str) -> bool {
        let is_directory = method == Routed::ReadDirectory.method();
        if !is_directory && method != Routed::GetSkill.method() && method != ListKind::Skills.method() {
            return true;
        }
        self.skills().is_some_and(|told| !is_directory || told.get("directoryRead").is_some())
    }
}

impl Driver {
    /// Puts the backend's own cursor in the place of the one that this client was given.
    ///
    /// # Errors
    /// −32602 for a cursor that is not this client's, or of another directory.
    pub(super) fn open_cursor(&self, target: &mut Target) -> Result<(), RpcError> {
        let given = target.params.get("cursor").filter(|cursor| !cursor.is_null());
        let Some(given) = given.filter(|_| self.inbound.routed == Routed::ReadDirectory) else {
            return Ok(());
        };
        let invalid = || {
            RpcError::invalid_params(
                "this cursor was not issued for this directory; ask again without a cursor",
            )
        };
        let text = given.string().ok_or_else(invalid)?;
        let sealed: Sealed<String> = self.router.sealer().open(&text).ok_or_else(invalid)?;
        if sealed.principal != self.inbound.caller.principal.name() || sealed.request != place(target) {
            return Err(invalid());
        }
        target.params.set("cursor", RawJson::of(&sealed.content));
        Ok(())
    }

    /// One page of a directory, its cursor sealed.
    pub(super) fn directory_page(&self, target: &Target, page: RawJson) -> Result<RawJson, RawJson> {
        let next = page.get("nextCursor").and_then(|next| next.string().map(String::from));
        let (Some(content), Some(mut object)) = (next, Object::parse(&page)) else { return Ok(page) };
        let principal = self.inbound.caller.principal.name().to_owned();
        let sealed = Sealed { principal, request: place(target), expires: expiry(CURSOR_LIFE), content };
        // A directory that ends too early would look whole.
        let sealed = self.router.sealer().seal(&sealed);
        let sealed =
            sealed.ok_or_else(|| RpcError::internal("the next page could not be sealed").to_json())?;
        object.set("nextCursor", RawJson::of(&sealed));
        Ok(object.to_json())
    }
}

/// What a cursor belongs to.
fn place(target: &Target) -> String {
    format!("{} {} {}", Routed::ReadDirectory.method(), target.route.backend, target.route.local)
}
