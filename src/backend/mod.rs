//! How is a server reached: transports, era detection, supervision, calls in flight.
//!
//! | file | the question it answers |
//! |---|---|
//! | `backend.rs` | what is a backend to the rest of the gateway? |
//! | `replicas.rs` | to which of several places that serve the same does a call go? |
//! | `admission.rs` | what does a call need before it is sent? |
//! | `call.rs` | how does one call go, from leave to send to its verdict? |
//! | `drain.rs` | when is the last call over? |
//! | `task.rs`, `followed.rs` | how does a call go on that the backend runs as a task, in each era? |
//! | `supervisor.rs` | who keeps the connection alive? |
//! | `outage_log.rs` | which failed attempts are worth a log line? |
//! | `hold.rs` | is a process that keeps crashing left alone? |
//! | `establish.rs` | how does a connection come about? |
//! | `handshake.rs` | which era does the server speak? |
//! | `connection.rs` | what can be asked of a connected server? |
//! | `declared.rs` | what does a server say that it can do? |
//! | `offer.rs`, `listing.rs`, `look_schedule.rs`, `pace.rs` | what does it offer, all pages of it, and how soon is it asked again? |
//! | `watched.rs` | which of its resources do clients watch? |
//! | `listen.rs`, `subscribe.rs` | how does it learn that, in each era? |
//! | `reopen.rs` | how long until a stream that ended is opened again? |
//! | `wire.rs` | what comes back for a request? |
//! | `sharing.rs`, `own.rs`, `lease.rs` | which connection does a call get, and who shares it? |
//! | `lobby.rs` | how many calls may wait before they ask for a place? |
//! | `legacy_side.rs` | how do legacy clients share a connection to a server of both eras? |
//! | `pool.rs` | which connections does one call at a time have for itself? |
//! | `kept.rs` | which are kept for a principal or a session? |
//! | `places.rs` | how many may there be? |
//! | `waiting_calls.rs` | which calls wait for their client, and which gives way? |
//! | `outbox.rs` | what is sent while nobody waits for it, and how much of it? |
//! | `noise.rs` | what does a backend send unasked, and when is it too much? |
//! | `pipe.rs`, `in_flight.rs` | how do many calls share one connection, and which is a message about? |
//! | `call_ref.rs` | was a call written, or given up before? |
//! | `stdio.rs`, `child.rs` | how does a child process speak, and end? |
//! | `program.rs` | why can a program not be started? |
//! | `said.rs` | which line of its standard error says why it failed? |
//! | `launch.rs` | how is a process started so that its end is known here, and with which limits? |
//! | `marks.rs`, `groups.rs`, `guardian.rs` | what finds and ends all that a child started, whatever becomes of the gateway? |
//! | `orphans.rs`, `process_table.rs` | what becomes of processes whose parent has ended, and whose are they? |
//! | `sse.rs` | how does HTTP+SSE work? |
//! | `http.rs` | how does Streamable HTTP work? |
//! | `oauth/` | how does the gateway get leave from an authorization server? |
//! | `tls.rs` | whom does TLS trust, and why did it refuse? |
//! | `tools.rs` | what did the operator set for single tools? |
//! | `circuit.rs` | how does its circuit stand? |
//! | `state.rs`, `status.rs` | how is the backend now, and what do operators see of it? |
//! | `failure.rs` | why is there no answer? |
//! | `refused.rs` | what can be done about a request that was refused unread? |
//! | `verdict.rs` | what does a call's end say about the backend, and may it be made again? |
//!
//! Nothing here knows names or clients: the router hands in local names and takes back raw answers.

mod admission;
#[allow(clippy::module_inception)]
mod backend;
mod call;
mod call_ref;
mod child;
mod circuit;
mod connection;
mod declared;
mod drain;
mod era_probe;
mod era_race;
mod establish;
mod failure;
mod followed;
mod freshness;
mod groups;
mod guardian;
mod handshake;
mod hold;
mod http;
mod ids;
mod in_flight;
mod kept;
mod launch;
mod lease;
mod legacy_side;
mod listen;
mod listing;
mod lobby;
mod look_schedule;
mod marks;
mod noise;
mod oauth;
mod offer;
mod orphans;
mod outage_log;
mod outbox;
mod own;
mod pace;
mod pipe;
mod places;
mod pool;
mod process_table;
mod program;
mod refused;
mod reopen;
mod replicas;
mod said;
#[cfg(test)]
pub(crate) mod scripted;
mod settings;
mod sharing;
mod signals;
mod sse;
mod state;
mod status;
mod stdio;
mod subscribe;
mod supervisor;
mod task;
mod tls;
mod tools;
mod verdict;
mod waiting_calls;
mod watched;
mod wire;

pub use admission::Admission;
pub use backend::{Backend, Changed};
pub use call::{Call, CallEvent};
pub use failure::{Failure, FailureKind, Sent};
pub use freshness::ListsDue;
pub use groups::kill_all;
pub use guardian::{guard, start_guardian};
pub use kept::KnowsPrincipal;
pub use launch::raise_descriptors;
pub use oauth::{
    Authorizer, Callback, GrantType, GrantedTo, OAuthError, OAuthSettings, Pending, SigningAlgorithm, Vault,
};
pub use offer::{CacheHint, Offer};
pub use orphans::{adopt_orphans, kill_orphans};
pub use refused::Remedy;
pub use settings::{BackendSettings, ProcessSettings, RemoteSettings, TimeoutSettings, TransportSettings};
pub use sharing::{ConnectionMode, ConnectionSettings, Connections, Wants};
pub use state::{Snapshot, State};
pub use tls::TlsSettings;
pub use tools::{ToolSettings, ToolTimeoutSettings};
pub use watched::{TaskTold, Updated, Visited};
pub use wire::Beside;

/// The time for breakers and budgets: tokio's, which a test can hold.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// Longest line, body or event a backend may send, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
