//! Which refused requests are logged, and what is said of them?
//!
//! Who asked and why it was refused; nothing that the client sent. A client decides how many there are, so the lines are
//! limited for each reason and address.

use super::error::Error;
use crate::router::{Principal, RequestId};
use crate::telemetry::LogLimit;

const REFUSED_LINES: LogLimit = LogLimit::new("refused requests", 5);

/// Logs that a request was refused.
pub(super) fn note(error: &Error, request_id: &RequestId, principal: Option<&Principal>) {
    let reason = error.name();
    let address = request_id.peer().map(|peer| peer.to_string()).unwrap_or_default();
    if !REFUSED_LINES.admits(&format!("{reason} {address}")) {
        return;
    }
    tracing::warn!(
        %request_id,
        peer = request_id.peer().map(tracing::field::display),
        principal = principal.map(Principal::name),
        reason,
        status = error.status().as_u16(),
        code = error.code(),
        "request refused"
    );
}

/// Logs that a message on a stream or on standard input was refused.
pub(super) fn note_message(code: i32, request_id: &RequestId, principal: &Principal) {
    let address = request_id.peer().map(|peer| peer.to_string()).unwrap_or_default();
    if !REFUSED_LINES.admits(&format!("{code} {address}")) {
        return;
    }
    tracing::warn!(
        %request_id,
        peer = request_id.peer().map(tracing::field::display),
        principal = principal.name(),
        code,
        "message refused"
    );
}
