//! How does a client follow a call that goes on as a task?
//!
//! | file | the question it answers |
//! |---|---|
//! | `id.rs` | what does a client hold of a task? |
//! | `relay.rs` | how do a modern client and a modern backend speak of one? |
//! | `follow.rs`, `held.rs` | who goes on with a call that a backend of 2025-11-25 runs as one, and where does it stand? |
//! | `table.rs` | which of those stand here, and which give way to others? |
//! | `updates.rs` | which clients are told how tasks stand, without asking? |
//! | `standing.rs` | how does such a task read in the words of the extension? |

mod follow;
mod held;
mod id;
mod relay;
mod standing;
mod table;
mod updates;

pub(super) use id::unknown;
pub(super) use relay::shown;
pub(super) use table::Held;
pub(super) use updates::Followers;
pub use updates::TaskUpdates;

use crate::protocol::tasks::{Support, are_missing};
use crate::protocol::{Era, RawJson, Routed};

use super::request::Inbound;
use super::target::Target;

/// Whether a call is made as a task, at a backend of 2025-11-25 that takes such: where the tool cannot be called without, or
/// where it may be and its client can follow.
pub(super) fn is_wanted(target: &Target, inbound: &Inbound) -> bool {
    match target.tool.as_ref().map(|tool| tool.task_support) {
        Some(Support::Required) => true,
        Some(Support::Optional) => relay::declares_tasks(inbound),
        Some(Support::Forbidden) | None => false,
    }
}

/// Whether a modern backend refused a call that the gateway can make once more and follow to its end itself: its client
/// knows no tasks. A modern client is told, because it could declare the extension.
pub(super) fn can_be_followed(target: &Target, inbound: &Inbound, error: &RawJson) -> bool {
    let is_legacy = inbound.caller.revision.era() == Era::Legacy;
    is_legacy && inbound.routed == Routed::CallTool && !target.is_followed && are_missing(error)
}
