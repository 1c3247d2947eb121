//! Does a refusal say that the backend forgot the session?
//!
//! The protocol says HTTP 404, but servers also say it with 400, or with an error on HTTP 200; and some answer a request
//! that they understood with 404. So the body decides wherever it says something.
//!
//! | status | body | meaning |
//! |---|---|---|
//! | 404 | an error that answers this request | an answer |
//! | 404 | "method not found" for no request in particular | an answer |
//! | 404, 410 | anything else | lost |
//! | other 4xx | says so, for no request in particular or as plain text | lost |
//! | any, 200 too | says so in an error that answers this request | to be verified: a tool may have sessions of its own |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::protocol::{ListKind, RawJson, code};

use super::super::Failure;
use super::super::wire::{Outgoing, Reply};
use super::client::Response;
use super::reason::reason_of;
use super::reply::{HttpReply, error_in, read_refusal};
use super::{Hop, HttpConnection};

/// After a session was found to be there, doubts do not count for so long.
const TRUST: Duration = Duration::from_secs(5);

/// What a refusal means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionVerdict {
    Kept,
    Doubtful,
    Lost,
}

/// Judges the refusal of request `id` with a status of 4xx.
pub(super) fn judge(status: StatusCode, text: &Bytes, id: u64) -> SessionVerdict {
    let is_gone = is_gone(status);
    let error = error_in(text).and_then(|response| Some((response.id, response.outcome.err()?)));
    let Some((answered, error)) = error else {
        let says_so = std::str::from_utf8(text).is_ok_and(is_about_session);
        return if is_gone || says_so { SessionVerdict::Lost } else { SessionVerdict::Kept };
    };
    let is_own = answered.is_some_and(|answered| answered.as_number() == Some(id));
    let number = error.get("code").and_then(|code| code.to::<i32>());
    match (is_own, says_so(&error)) {
        (true, true) => SessionVerdict::Doubtful,
        (true, false) => SessionVerdict::Kept,
        (false, true) => SessionVerdict::Lost,
        (false, false) if is_gone && number != Some(code::METHOD_NOT_FOUND) => SessionVerdict::Lost,
        (false, false) => SessionVerdict::Kept,
    }
}

/// Reads the refusal of request `id`, whose session is on an event stream: whether it says that the session is lost, and
/// what else it says.
pub(in super::super) async fn take_refusal(response: &mut Response, id: u64) -> (bool, Option<String>) {
    let status = response.status();
    let text = read_refusal(response).await;
    let is_lost =
        !matches!(status.as_u16(), 401 | 403 | 429) && judge(status, &text, id) == SessionVerdict::Lost;
    (is_lost, reason_of(status, &text))
}

fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Whether an error says that the session is not there, or that `initialize` was never sent.
pub(in super::super) fn says_so(error: &RawJson) -> bool {
    let text = |member| error.get(member).and_then(|text| text.to::<String>());
    ["message", "data"].into_iter().filter_map(text).any(|text| is_about_session(&text))
}

/// What servers say of a session, in lower case.
const SAYINGS: [&str; 24] = [
    "not found",
    "unknown",
    "invalid",
    "no valid",
    "not valid",
    "expired",
    "terminated",
    "closed",
    "missing",
    "required",
    "not exist",
    "n't exist",
    "no active",
    "not active",
    "could not find",
    "no such",
    "no session",
    "no transport",
    "timed out",
    "stale",
    "no longer",
    "recogni",
    "mismatch",
    "gone",
];
/// What they say of a connection that was never opened.
const NOT_OPENED: [&str; 6] = [
    "not initialized",
    "not been initialized",
    "before initialization",
    "uninitialized",
    "not yet initialized",
    "initialize first",
];
/// A message that says so is short; a long one is about something else, and is not searched.
const LONGEST_SAYING: usize = 1024;

fn is_about_session(text: &str) -> bool {
    if text.len() > LONGEST_SAYING {
        return false;
    }
    let text = text.to_ascii_lowercase();
    let has_any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    (text.contains("session") && has_any(&SAYINGS)) || has_any(&NOT_OPENED)
}

/// What is known of a session beyond what the latest answer says.
#[derive(Debug, Default)]
pub(super) struct SessionDoubts {
    /// When the session was last found to be there.
    verified: Mutex<Option<Instant>>,
    /// Methods that a session which was just opened refused in the same way: that was about the method.
    refused: Mutex<Vec<&'static str>>,
}

impl HttpConnection {
    /// Judges a refusal of `outgoing`: the reply itself, or that of the request sent once more in another session.
    pub(super) async fn examine(
        self: &Arc<Self>,
        hop: &Hop,
        mut reply: HttpReply,
        outgoing: &Outgoing,
    ) -> Result<HttpReply, Failure> {
        let is_lost = match self.verdict(hop, &mut reply, outgoing).await {
            SessionVerdict::Kept => false,
            SessionVerdict::Lost if !self.doubts.refused.lock().contains(&outgoing.method) => true,
            SessionVerdict::Lost | SessionVerdict::Doubtful => self.is_lost(hop).await,
        };
        if !is_lost {
            return Ok(reply);
        }
        reply.forget();
        self.renew(hop).await?;
        let hop = self.hop.load_full();
        let mut reply = self.send(&hop, outgoing).await?;
        if reply.status().is_client_error()
            && self.verdict(&hop, &mut reply, outgoing).await == SessionVerdict::Lost
        {
            self.doubts.note_refused(outgoing.method);
        }
        Ok(reply)
    }

    async fn verdict(&self, hop: &Hop, reply: &mut HttpReply, outgoing: &Outgoing) -> SessionVerdict {
        let status = reply.status();
        // Credentials and pauses are no matter of sessions.
        if matches!(status.as_u16(), 401 | 403 | 429) {
            return SessionVerdict::Kept;
        }
        let text = timeout(self.limit, reply.refusal_text()).await.unwrap_or_default();
        match judge(status, &text, outgoing.id) {
            // Without a session, 404 says that the URL is wrong.
            SessionVerdict::Lost if is_gone(status) && hop.session().is_none() => SessionVerdict::Kept,
            verdict => verdict,
        }
    }

    /// Opens another session if the backend, whose error raises a doubt, does not know the present one; `true` if
    /// there is another one now.
    pub(in super::super) async fn reopen_if_lost(self: &Arc<Self>) -> bool {
        let hop = self.hop.load_full();
        matches!(*hop, Hop::Legacy { .. }) && self.is_lost(&hop).await && self.renew(&hop).await.is_ok()
    }

    /// Asks for a list, which no server answers in a session that it does not know.
    async fn is_lost(self: &Arc<Self>, hop: &Hop) -> bool {
        let _only_one = self.renewal.lock().await;
        if self.hop.load().as_ref() != hop {
            return true;
        }
        if self.doubts.verified.lock().is_some_and(|at| at.elapsed() < TRUST) {
            return false;
        }
        let asked = Outgoing::new(self.ids.next(), ListKind::Tools.method(), None);
        let asking = async {
            let mut reply = self.send(hop, &asked).await?;
            if reply.status().is_client_error() {
                return Ok(self.verdict(hop, &mut reply, &asked).await != SessionVerdict::Kept);
            }
            let outcome = Reply::Http(Box::new(reply)).answer().await?;
            Ok(outcome.is_err_and(|error| says_so(&error)))
        };
        let is_lost = matches!(timeout(self.limit, asking).await, Ok(Ok::<_, Failure>(true)));
        if !is_lost {
            *self.doubts.verified.lock() = Some(Instant::now());
        }
        is_lost
    }
}

impl SessionDoubts {
    fn note_refused(&self, method: &'static str) {
        let mut refused = self.refused.lock();
        if !refused.contains(&method) {
            refused.push(method);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::SessionVerdict::{Doubtful, Kept, Lost};
    use super::*;

    fn verdict(status: u16, text: &'static str) -> SessionVerdict {
        judge(StatusCode::from_u16(status).unwrap(), &Bytes::from_static(text.as_bytes()), 7)
    }

    #[test]
    fn each_way_to_say_it_has_its_row() {
        let rows = [
            (404, "", Lost),
            (404, "Not Found", Lost),
            (410, "<html>gone</html>", Lost),
            (
                404,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#,
                Lost,
            ),
            (
                404,
                r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session not found"}}"#,
                Lost,
            ),
            (404, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Not Found"}}"#, Lost),
            (404, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"Method not found"}}"#, Kept),
            (
                404,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Method not found"}}"#,
                Kept,
            ),
            (
                404,
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"session not found"}}"#,
                Doubtful,
            ),
            (400, "Invalid session ID", Lost),
            (400, "No valid session ID provided", Lost),
            (
                400,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}"#,
                Lost,
            ),
            (
                400,
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Mcp-Session-Id header is required"},"id":null}"#,
                Lost,
            ),
            (
                400,
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"unknown session s1"}}"#,
                Doubtful,
            ),
            (400, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"missing argument"}}"#, Kept),
            (422, r#"{"detail":"session expired"}"#, Lost),
            (400, "No transport found for sessionId", Lost),
            (400, "", Kept),
        ];
        for (status, text, expected) in rows {
            assert_eq!(verdict(status, text), expected, "{status} {text}");
        }
    }

    #[test]
    fn an_error_that_is_about_something_else_raises_no_doubt() {
        let says_so =
            |message: &str| says_so(&RawJson::of(&serde_json::json!({"code": -32602, "message": message})));
        assert!(says_so("Received request before initialization was complete"));
        assert!(says_so("Session abc has expired"));
        let with_data =
            serde_json::json!({"code": -32603, "message": "Internal error", "data": "Session not found"});
        assert!(super::says_so(&RawJson::of(&with_data)));
        assert!(!says_so("the session is fine"));
        assert!(!says_so("file not found"));
        assert!(!says_so(&format!("session not found {}", "x".repeat(2000))));
    }
}
