//! Who gets an exchange, and what does its caller hear of it?
//!
//! | file | the question it answers |
//! |---|---|
//! | `router.rs` | what can a server ask of the gateway behind it? |
//! | `request.rs` | what is a request, once transport and era no longer matter? |
//! | `exchange.rs` | what does a client hear between its request and its answer? |
//! | `driver.rs` | what happens in between? |
//! | `again.rs` | when is a call made once more? |
//! | `arguments.rs` | where are a call's arguments checked? |
//! | `answer.rs` | what does a client get of a backend's answer? |
//! | `bounds.rs` | how full is what all clients share? |
//! | `bridge.rs` | how do the eras meet when a backend asks something? |
//! | `asking.rs` | how is a legacy client asked what a modern backend wants to know? |
//! | `visit.rs` | how is a modern client sent to the pages a legacy backend wants visited first? |
//! | `visits.rs` | who is told that a page has been visited? |
//! | `question.rs` | how does an answer find its way back? |
//! | `parking.rs` | where does a call wait for a modern client? |
//! | `seal.rs` | what may a client keep for us? |
//! | `account.rs` | who counts and logs the call? |
//! | `target.rs` | which backend owns it, and under which name? |
//! | `unresolved.rs` | what becomes of a request for something that no known backend has? |
//! | `hop.rs` | what is rewritten on the way there and back? |
//! | `convert/` | what is changed in an answer so that this client can read it? |
//! | `lists.rs` | what does a client get for one request of a list? |
//! | `settling.rs` | for what does a list or a handshake wait? |
//! | `failure.rs` | how is a call answered that no backend answered? |
//! | `fleet.rs` | which backends are there, and what was last known of each? |
//! | `replace.rs` | how do other backends take the place of these? |
//! | `refresh.rs` | when does the catalog change, and who is told? |
//! | `skills.rs` | what of the extension for skills is there for clients? |
//! | `tasks/` | how does a client follow a call that goes on as a task? |
//! | `subscriptions.rs`, `updates.rs` | who is told when a resource changes, and how does a client ask to be? |
//! | `vendor.rs` | who gets a request that no specification names? |
//! | `session.rs` | what do backends keep for a session? |
//! | `status.rs` | what do operators see of all this? |
//!
//! This room joins the catalog and the backends, which do not know each other.

mod account;
mod again;
mod answer;
mod arguments;
mod asking;
mod bounds;
mod bridge;
mod convert;
mod driver;
mod exchange;
mod failure;
mod fleet;
mod hop;
mod lists;
mod parking;
mod question;
mod refresh;
mod replace;
mod request;
#[expect(clippy::module_inception, reason = "the room's main type lives in the file of its name")]
mod router;
mod seal;
mod session;
mod settling;
mod skills;
mod status;
mod subscriptions;
mod target;
mod tasks;
mod unresolved;
mod updates;
mod vendor;
mod visit;
mod visits;

pub use exchange::{Event, Exchange};
pub use fleet::{Fleet, Member};
pub use lists::ListPage;
pub use question::Answerer;
pub use refresh::Changes;
pub use request::{Caller, Inbound, Principal, RequestId};
pub use router::Router;
pub use seal::Sealer;
pub use session::{SessionHold, SessionId};
pub use status::{BackendStatus, Status};
pub use tasks::TaskUpdates;
pub use updates::Updates;
