//! JSON kept as the text it arrived as.
//!
//! | file | the question it answers |
//! |---|---|
//! | `reader.rs` | is a text from outside JSON, and where do its members stand? |
//! | `raw.rs` | one value: what is in it? |
//! | `object.rs` | how is an object edited, member by member? |
//! | `writer.rs` | how is an object written that nobody will edit? |
//! | `members.rs` | where do the members of an object stand whose text was checked before? |
//! | `lenient.rs` | how is JSON read that not every reader takes? |
//! | `strings.rs` | where does a string end, and what does it spell? |

mod lenient;
mod members;
mod object;
mod raw;
mod reader;
mod strings;
mod writer;

pub use lenient::lenient_object;
pub use object::Object;
pub use raw::RawJson;

pub(super) use members::{Outline, Place, salvage};
pub(super) use reader::{Fault, Flaw, read_object};
pub(super) use strings::{closing_quote, text_of, unescaped};
pub(super) use writer::{Writer, put_text};
