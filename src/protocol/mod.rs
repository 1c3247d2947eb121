//! What MCP says: the raw envelope, revisions, headers, errors, event-stream framing.
//!
//! Nothing here does I/O or reads a clock. Relayed JSON stays text ([`RawJson`]): it is checked once,
//! cut into members where the gateway must look or rewrite, and never rebuilt from a typed model.

pub mod apps;
mod capabilities;
mod envelope;
mod error;
pub mod frame;
mod guard;
mod headers;
mod id;
mod json;
mod json_texts;
mod lenient;
mod log_level;
mod meta;
mod methods;
pub mod param_headers;
mod pieces;
mod revision;
pub mod skills;
mod sse;
pub mod tasks;
pub mod trace;
mod uri_normal;
mod uri_template;
mod vendor;

pub use capabilities::{ClientCapabilities, question};
pub use envelope::{Batch, Malformed, Message, Response, parse, parse_batch, salvage_id};
pub use error::{RpcError, code};
pub use guard::{MAX_DEPTH, scan};
pub use headers::{decode_value, encode_value, mirrored_name, name as header};
pub use id::Id;
pub use json::{Object, RawJson, lenient_object};
pub use lenient::{each_in_body, each_message, error_object};
pub use log_level::LogLevel;
pub use meta::{HopMeta, RequestMeta, gateway_info, key as meta_key, readable_info, rewrite as rewrite_meta};
pub use methods::{ListKind, Routed, name as method};
pub use param_headers::ParamHeader;
pub use pieces::Pieces;
pub use revision::{Era, Revision};
pub use sse::{EventTooLong, SseEvent, SseParser, write_comment, write_event, write_priming};
pub use trace::TraceContext;
pub use uri_normal::{has_dot_segments, is_url, normal_uri, uri_scheme, uri_variants};
pub use uri_template::UriTemplate;
pub use vendor::{is_vendor_notification, is_vendor_request};
