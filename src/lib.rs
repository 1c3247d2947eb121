//! Switchyard: one MCP endpoint in front of many MCP servers.
//!
//! # The map
//!
//! | room | the question it answers | may import |
//! |---|---|---|
//! | [`cli`] | what can I run? | everything |
//! | [`gateway`] | how does it all start and stop? | everything |
//! | [`config`] | what can an operator set? | each room's settings |
//! | [`server`] | what do clients talk to? | router, protocol, resilience, telemetry |
//! | [`router`] | who gets a request, and what does its caller hear of it? | catalog, backend, protocol, resilience, sealing, telemetry |
//! | [`catalog`] | what exists, and what is it called? | protocol |
//! | [`backend`] | how is a server reached, kept alive and called? | protocol, resilience, sealing, telemetry |
//! | [`resilience`] | when do we refuse, and whom, when do we try again? | nothing |
//! | [`protocol`] | what does MCP say? | nothing |
//! | [`telemetry`] | what do operators see? | nothing |
//! | [`budget`] | how much may be held in memory? | resilience |
//! | [`files`] | how is a file written that nobody else may read? | nothing |
//! | [`printable`] | how is foreign text shown to a person? | nothing |
//! | [`sealing`] | how is something sealed that comes back? | nothing |
//! | [`threads`] | which thread serves a client's connection? | nothing |
//! | [`units`] | how are durations written? | nothing |
//!
//! # The path of one `tools/call`
//!
//! ```text
//! server/http/listen.rs     a permit before accept, header timeout, bounded headers
//! server/http/endpoint.rs   path and method, one Host, Origin, who is it
//! server/http/body.rs       bounded in size and time
//! protocol/envelope.rs      depth, one pass; params stay text
//! server/{modern,legacy}.rs era, version, headers against body, session
//! router/exchange.rs        resolve → check arguments → admit → rewrite → relay → account, once
//!   backend/backend.rs      connection → bulkhead → breaker
//!   backend/call.rs         send once → {progress | answer | deadline | lost} → settle, once
//!     backend/{pipe,http}.rs   ids of this hop, cancel on drop
//! server/http/relay.rs      JSON, or an event stream from the first event on
//! ```
//!
//! # Where is …?
//!
//! | what | file |
//! |---|---|
//! | the breaker | `resilience/breaker.rs` |
//! | how a tool gets its name | `catalog/names.rs` |
//! | what happens when names collide | `catalog/merge.rs` |
//! | era detection | `backend/handshake.rs` |
//! | reconnecting and waiting | `backend/supervisor.rs` |
//! | whose calls share a connection | `backend/sharing.rs` |
//! | how a child process is stopped | `backend/child.rs` |
//! | what ends children when the gateway is killed | `backend/guardian.rs` |
//! | what is rewritten in a request | `router/hop.rs` |
//! | what is converted in an answer | `router/convert/` |
//! | what a model reads when a call fails | `router/failure.rs` |
//! | calls that go on as tasks | `backend/task.rs`, `router/tasks/` |
//! | who hears that a page was visited | `router/visits.rs` |
//! | when clients hear of changes | `router/refresh.rs` |
//! | how a resource is watched | `router/updates.rs`, `backend/watched.rs` |
//! | arguments that headers repeat (`x-mcp-header`) | `protocol/param_headers.rs` |
//! | the trace that a call belongs to | `protocol/trace.rs` |
//! | where the files of a skill are | `catalog/skills.rs` |
//! | sessions | `server/http/sessions.rs` |
//! | coming back to a broken stream | `server/http/resumable.rs` |
//! | tokens of clients | `server/auth.rs` |
//! | the bound on memory for messages | `budget.rs` |
//! | who gives way where a bound is reached | `resilience/fair_share.rs`, `server/http/connections.rs` |
//! | tokens towards backends (OAuth) | `backend/oauth/authorizer.rs` |
//! | every metric | `telemetry/names.rs` |
//! | the configuration's schema | `config/file.rs` |
//! | how a changed file comes into force | `gateway/reload.rs` |

pub mod backend;
pub mod budget;
pub mod catalog;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod files;
pub mod gateway;
pub mod printable;
pub mod protocol;
pub mod resilience;
pub mod router;
pub mod sealing;
pub mod server;
pub mod telemetry;
pub mod threads;
pub mod units;
