//! What does the end of a call say about the backend, and may the call be made again?
//!
//! | what was observed | breaker | may be made again |
//! |---|---|---|
//! | connect or spawn failed, or the frame was never written | failure | yes |
//! | lost after the frame was written | failure | no: it may have run |
//! | deadline, HTTP 5xx, −32603, a reply that is none | failure | no |
//! | HTTP 429, or 503 with `Retry-After` | counts against the rate, not the streak; honoured | no |
//! | other HTTP 4xx, −32700, −32600, −32601, −32602 | neutral | no |
//! | refused here: bulkhead, circuit | neutral | no |
//! | not let in: a person must act, or the principal's own grant is in trouble | neutral | no |
//! | not let in with the gateway's own grant, which is everybody's | failure | yes |
//! | −32020 or −32022 with HTTP 400: refused unread | success | once, after what was wrong is put right (`refused.rs`) |
//! | any other answer, `isError: true` included | success | no |
//!
//! A call that its client gave up settles nothing: its permit is dropped, which is neutral too.

use crate::protocol::{RawJson, code};
use crate::resilience::Verdict;

use super::{Failure, FailureKind, Sent};

/// Whether a failed call may be made once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing was written: it repeats nothing.
    Unsent,
    /// It may have run, and only the operator knows whether it may run twice.
    MayHaveRun,
    /// It would help nobody.
    Never,
}

/// What an answer says about the backend. An error is an answer too: only one that says the server itself
/// failed counts against it.
pub(super) fn of_answer(outcome: &Result<RawJson, RawJson>) -> Verdict {
    let Err(error) = outcome else { return Verdict::Success };
    match code_of(error) {
        Some(code::INTERNAL_ERROR) | None => Verdict::Failure,
        Some(code::PARSE_ERROR | code::INVALID_REQUEST | code::METHOD_NOT_FOUND | code::INVALID_PARAMS) => {
            Verdict::Neutral
        }
        Some(_) => Verdict::Success,
    }
}

/// What the absence of an answer says about the backend.
pub(super) fn of_failure(failure: &Failure) -> Verdict {
    match (failure.kind, failure.http_status) {
        (FailureKind::Busy, Some(_)) => Verdict::RateLimited { retry_after: failure.retry_after },
        (
            FailureKind::Busy
            | FailureKind::CircuitOpen
            | FailureKind::NotConnected
            | FailureKind::NotAuthorized,
            None,
        )
        | (_, Some(400..=499)) => Verdict::Neutral,
        _ => Verdict::Failure,
    }
}

/// Whether a call that failed like this may be made once more.
pub(super) fn again(failure: &Failure) -> Again {
    match (failure.kind, failure.sent) {
        (FailureKind::Unavailable | FailureKind::Lost, Sent::No) if failure.http_status.is_none() => {
            Again::Unsent
        }
        (FailureKind::Lost, Sent::Maybe) => Again::MayHaveRun,
        _ => Again::Never,
    }
}

/// The code of a JSON-RPC error; none if there is none.
pub(super) fn code_of(error: &RawJson) -> Option<i32> {
    error.get("code")?.to()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    use super::super::http::refusal;
    use super::*;

    const LIMITED: Verdict = Verdict::RateLimited { retry_after: None };

    fn status(status: u16, retry_after: Option<&'static str>) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(wait) = retry_after {
            headers.insert("retry-after", http::HeaderValue::from_static(wait));
        }
        refusal(StatusCode::from_u16(status).unwrap_or_default(), &headers)
    }

    fn lost(sent: Sent) -> Failure {
        Failure::lost(sent, "the process exited")
    }

    #[test]
    fn every_failure_has_its_row() {
        let told = Verdict::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        let busy = Failure::new(FailureKind::Busy, Sent::No, "64 calls in flight");
        let refused = Failure::new(FailureKind::CircuitOpen, Sent::No, "circuit open");
        let not_let_in = |kind| Failure::new(kind, Sent::No, "the token is refused");
        let table = [
            ("connect failed", Failure::unavailable("refused"), Verdict::Failure, Again::Unsent),
            ("spawn failed", Failure::unavailable("no such file"), Verdict::Failure, Again::Unsent),
            ("lost in the queue", lost(Sent::No), Verdict::Failure, Again::Unsent),
            ("lost once written", lost(Sent::Maybe), Verdict::Failure, Again::MayHaveRun),
            ("deadline", Failure::timeout(Sent::Maybe, Duration::ZERO), Verdict::Failure, Again::Never),
            ("deadline, queued", Failure::timeout(Sent::No, Duration::ZERO), Verdict::Failure, Again::Never),
            ("malformed reply", Failure::malformed("no JSON"), Verdict::Failure, Again::Never),
            ("500", status(500, None), Verdict::Failure, Again::MayHaveRun),
            ("502", status(502, None), Verdict::Failure, Again::MayHaveRun),
            ("503", status(503, None), Verdict::Failure, Again::MayHaveRun),
            ("504", status(504, None), Verdict::Failure, Again::MayHaveRun),
            ("redirect", status(307, None), Verdict::Failure, Again::Never),
            ("429", status(429, None), LIMITED, Again::Never),
            ("429 that says when", status(429, Some("7")), told, Again::Never),
            ("503 that says when", status(503, Some("7")), told, Again::Never),
            ("400", status(400, None), Verdict::Neutral, Again::Never),
            ("401", status(401, None), Verdict::Neutral, Again::Never),
            ("403", status(403, None), Verdict::Neutral, Again::Never),
            ("404", status(404, None), Verdict::Neutral, Again::Never),
            ("413 that says when", status(413, Some("7")), Verdict::Neutral, Again::Never),
            ("bulkhead", busy, Verdict::Neutral, Again::Never),
            ("circuit", refused, Verdict::Neutral, Again::Never),
            ("no grant", not_let_in(FailureKind::NotConnected), Verdict::Neutral, Again::Never),
            ("one's own grant", not_let_in(FailureKind::NotAuthorized), Verdict::Neutral, Again::Never),
            ("everybody's grant", not_let_in(FailureKind::Unavailable), Verdict::Failure, Again::Unsent),
        ];
        for (row, failure, verdict, may) in table {
            assert_eq!((of_failure(&failure), again(&failure)), (verdict, may), "{row}: {failure:?}");
        }
    }

    #[test]
    fn every_answer_has_its_row() {
        let error = |code: i32| Err(json!({"code": code, "message": "no"}));
        type Row = (&'static str, Result<Value, Value>, Verdict);
        let table: [Row; 9] = [
            ("result", Ok(json!({"content": []})), Verdict::Success),
            ("a tool's own failure", Ok(json!({"isError": true})), Verdict::Success),
            ("resource not found", error(-32002), Verdict::Success),
            ("internal error", error(-32603), Verdict::Failure),
            ("no error object", Err(json!("no")), Verdict::Failure),
            ("parse error", error(-32700), Verdict::Neutral),
            ("invalid request", error(-32600), Verdict::Neutral),
            ("method not found", error(-32601), Verdict::Neutral),
            ("invalid params", error(-32602), Verdict::Neutral),
        ];
        for (row, outcome, verdict) in table {
            let outcome = outcome.map(|it| RawJson::of(&it)).map_err(|it| RawJson::of(&it));
            assert_eq!(of_answer(&outcome), verdict, "{row}");
        }
    }
}
