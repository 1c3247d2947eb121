//! What exists: names, merge, views per principal, pages.
//!
//! | file | the question it answers |
//! |---|---|
//! | `catalog.rs` | what exists right now, and where does each name lead? |
//! | `listing.rs` | what did one backend offer? |
//! | `merge.rs` | how do the lists of many backends become one? |
//! | `entry.rs` | is this entry one that every client can read? |
//! | `entry_schema.rs`, `repair.rs`, `timestamp.rs` | what must an entry be, and how is it repaired? |
//! | `exposure.rs` | which of a backend's entries may clients see? |
//! | `unmatched.rs` | which settings name nothing? |
//! | `names.rs` | what is an entry called towards clients? |
//! | `known_backend.rs` | what is kept of a backend besides its entries? |
//! | `uris.rs`, `owners.rs`, `owner.rs` | how is a URI spelt that two backends offer, and who owns it? |
//! | `app_links.rs` | which resource does a tool's user interface live in? |
//! | `skills.rs` | under which URIs do clients find the files of a skill? |
//! | `view.rs` | what does one principal see? |
//! | `audience.rs` | what does a client see of a tool that it cannot use whole? |
//! | `pages.rs`, `cursor.rs` | what does a client get for one list request? |
//! | `nearest.rs` | which name did the model mean? |
//! | `instructions.rs` | what is a model told about all backends together? |
//! | `schema_cost.rs` | what would it cost to compile this schema? |
//! | `schema_load.rs`, `value_shape.rs` | what would it cost to check these arguments against it? |
//! | `execution.rs` | must a tool run as a task? |
//! | `tool.rs`, `arguments.rs` | what is known about one tool, and do these arguments fit it? |
//! | `lint.rs`, `tokens.rs` | would a model's API refuse this tool, and what does it cost? |
//! | `summary.rs` | how much of it is one backend's? |
//! | `store.rs` | what was there before the gateway restarted? |
//! | `warning.rs` | what did the operator not expect? |
//! | `settings.rs` | what can an operator set? |
//!
//! A [`Catalog`] is built once from what the backends offered and never changes; a new one takes its
//! place. Entries stay the text the backend sent: only the name or URI is replaced, and a tool's
//! description where the operator says so. Nothing here waits or asks anybody.

mod app_links;
mod arguments;
mod audience;
#[expect(clippy::module_inception, reason = "the room's main type lives in the file of its name")]
mod catalog;
mod cursor;
mod digest;
mod entry;
mod entry_schema;
mod execution;
mod exposure;
mod instructions;
mod known_backend;
mod lint;
mod listing;
mod merge;
mod names;
mod nearest;
mod owner;
mod owners;
mod pages;
mod repair;
mod route;
mod schema_cost;
mod schema_load;
mod settings;
mod skills;
mod store;
mod summary;
mod timestamp;
mod tokens;
mod tool;
mod unmatched;
mod uris;
mod value_shape;
mod view;
mod warning;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod uri_tests;

pub use audience::Audience;
pub use catalog::Catalog;
pub use cursor::BadCursor;
pub use instructions::MAX_INSTRUCTIONS;
pub use lint::{Finding, Severity, lint};
pub use listing::Listing;
pub use merge::Source;
pub use names::{Namer, SEPARATOR};
pub use pages::Page;
pub use route::Route;
pub use settings::{CatalogSettings, ExposureSettings};
pub use store::{KeptListing, load, save};
pub use summary::BackendSummary;
pub use tokens::of_tool as tokens_of_tool;
pub use tool::ToolEntry;
pub use uris::{slug as uri_slug, unmark as unmark_uri};
pub use warning::{MAX_WARNINGS, Problem, Warning};
