//! How does a client follow a call that goes on as a task?
//!
//! | file | the question it answers |
//! |---|---|
//! | `id.rs` | what does a client hold of a task? |
//! | `relay.rs` | how do a modern client and a modern backend speak of one? |

mod id;
mod relay;

pub(super) use id::unknown;
pub(super) use relay::shown;
