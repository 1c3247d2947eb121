//! How does a request become an answer over HTTP, and who may send one?
//!
//! | file | the question it answers |
//! |---|---|
//! | `listen.rs` | how are connections accepted, bounded and drained? |
//! | `descriptors.rs` | how many connections can there be? |
//! | `connection.rs` | what happens on a connection, and whose is it? |
//! | `connections.rs` | whose are the connections, and which is closed where there are as many as may be? |
//! | `stall.rs` | what happens to a client that stops reading? |
//! | `endpoint.rs` | which path leads where, and what is checked before? |
//! | `hardening.rs` | what does the HTTP library let through that must not pass? |
//! | `origin.rs`, `cors.rs` | which hosts and browser origins are served? |
//! | `body.rs` | how is a body read, bounded in size and time? |
//! | `mcp.rs` | which era does a message posted to `/mcp` belong to? |
//! | `modern.rs`, `mirrored.rs` | how is a stateless request answered, and do its headers match? |
//! | `legacy.rs`, `stream.rs` | how are sessions served? |
//! | `sessions.rs`, `http_session.rs` | which are open, and what does HTTP add to one? |
//! | `session_shares.rs` | which sessions give way to others? |
//! | `session_id.rs`, `kept_sessions.rs`, `session_store.rs` | how does a session survive a restart? |
//! | `resumable.rs`, `replay.rs` | how does a client come back to a stream of its session, and to what? |
//! | `sse_pair.rs` | how is the 2024-11-05 transport served? |
//! | `relay.rs` | how do the events of a routed call reach the client? |
//! | `respond.rs`, `events.rs` | what are the responses made of? |
//! | `admin.rs` | what do operators see? |

mod admin;
mod body;
mod connection;
mod connections;
mod cors;
mod descriptors;
mod endpoint;
mod events;
mod hardening;
mod http_session;
mod kept_sessions;
mod legacy;
mod listen;
mod mcp;
mod mirrored;
mod modern;
mod origin;
mod relay;
mod replay;
mod respond;
mod resumable;
mod session_id;
mod session_shares;
mod session_store;
mod sessions;
mod sse_pair;
mod stall;
mod stream;

pub use admin::{Admin, serve_admin};
pub(super) use connections::Connections;
pub use listen::serve;
pub(super) use origin::Origins;
pub(super) use relay::answer_frame;
pub(super) use replay::usage as replay_usage;
pub(super) use respond::{Body, json};
pub(super) use sessions::Sessions;
pub(super) use sse_pair::Pairs;
