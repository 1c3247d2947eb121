//! Which era does a backend speak?
//!
//! `server/discover` is asked first (MCP 2026-07-28, basic/versioning, backward compatibility), and whatever is not
//! positively the answer of a modern server leads to `initialize`. A server may also ignore what it does not know: after
//! a moment without an answer it is asked both, and what it answers decides, not how fast it does so.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::protocol::{ClientCapabilities, Era, RawJson, Revision, code, method};

use super::era_race::{Settled, settle};
use super::handshake::{
    Agreement, Refusal, initialize_http, initialize_pipe, legacy_pipe, own_meta, unanswered,
};
use super::http::{Hop, HttpConnection, is_modern_error};
use super::ids::Ids;
use super::pipe::Pipe;
use super::wire::{Outgoing, Reply};
use super::{Failure, FailureKind, Sent};

/// How long `server/discover` is the only question. Most servers answer anything sooner once they run. A modern server over
/// HTTP must not be asked `initialize` only because the machine is busy, and hardly any server over HTTP stays silent.
const PIPE_HEAD_START: Duration = Duration::from_millis(400);
const HTTP_HEAD_START: Duration = Duration::from_secs(3);
/// What the probe showed.
pub(super) enum Probe {
    Modern(Agreement),
    /// It refuses our version but lists it as supported: ask once more.
    Again,
    /// It does not know the method, in the words of a modern server; a legacy one may use them too.
    Unclear,
    /// Not modern; with what came instead of an answer.
    Legacy(Option<Failure>),
}

fn discover(ids: &Ids) -> Outgoing {
    let params = json!({ "_meta": own_meta().to::<Value>() });
    Outgoing::new(ids.next(), method::DISCOVER, Some(RawJson::of(&params)))
}

fn judge(outcome: &Result<RawJson, RawJson>, status: Option<StatusCode>) -> Probe {
    let supports = |list: Option<RawJson>| {
        let versions = list.and_then(|list| list.to::<Vec<String>>()).unwrap_or_default();
        versions.iter().any(|version| version == Revision::LATEST.as_str())
    };
    let number = |error: &RawJson| error.get("code").and_then(|code| code.to::<i32>());
    match outcome {
        Ok(result) if supports(result.get("supportedVersions")) => {
            Probe::Modern(Agreement::read(result, Revision::LATEST))
        }
        Ok(_) => Probe::Legacy(None),
        Err(error) if number(error) == Some(code::UNSUPPORTED_VERSION) => {
            let listed = supports(error.get("data").and_then(|data| data.get("supported")));
            if listed { Probe::Again } else { Probe::Legacy(None) }
        }
        Err(error) if is_modern_error(error, status) => match number(error) {
            Some(code::METHOD_NOT_FOUND) => Probe::Unclear,
            _ => Probe::Modern(Agreement::assumed()),
        },
        Err(_) => Probe::Legacy(None),
    }
}

/// Agrees with a backend over Streamable HTTP and settles how requests are sent from now on.
pub(super) async fn over_http(
    connection: &Arc<HttpConnection>,
    known: Option<Era>,
) -> Result<Agreement, Refusal> {
    if known == Some(Era::Legacy) {
        return initialize_http(connection).await.map_err(|rejection| refused(None, rejection.failure));
    }
    let patience = patience(known, HTTP_HEAD_START, connection.limit());
    for is_last in [false, true] {
        let settled =
            settle(probe_http(connection), patience, initialize_http(connection), ping_http(connection));
        match settled.await? {
            // Requests over HTTP say what they are, each for itself.
            Settled::Modern(agreement) | Settled::Both { modern: agreement, .. } => {
                connection.leave_session();
                connection.agree(Hop::Modern);
                return Ok(agreement);
            }
            Settled::Legacy(agreement) => return Ok(agreement),
            Settled::Again if !is_last => {}
            Settled::Again => break,
            Settled::Refused { probe: Probe::Unclear, rejection }
                if rejection.failure.http_status.is_some() =>
            {
                connection.agree(Hop::Modern);
                return Ok(Agreement::assumed());
            }
            Settled::Refused { probe: Probe::Legacy(reason), rejection } => {
                return Err(refused(reason, rejection.failure));
            }
            Settled::Refused { rejection, .. } => return Err(refused(None, rejection.failure)),
        }
    }
    initialize_http(connection).await.map_err(|rejection| refused(None, rejection.failure))
}

/// The head start of the probe, and how long it may take where `initialize` was refused meanwhile.
fn patience(known: Option<Era>, usual: Duration, limit: Duration) -> (Duration, Duration) {
    match known {
        Some(Era::Modern) => (limit / 2, limit),
        _ => (usual.min(limit / 4), limit),
    }
}

/// The failure of `initialize`, and what the probe met if that was something else.
fn refused(probe: Option<Failure>, mut failure: Failure) -> Refusal {
    if let Some(probe) = probe.filter(|probe| probe.message != failure.message) {
        failure.message = format!("{} (`server/discover`: {})", failure.message, probe.message);
        failure.retry_after = failure.retry_after.max(probe.retry_after);
    }
    match failure.http_status {
        Some(400 | 404 | 405) => Refusal::NotStreamable(failure),
        _ => Refusal::Failed(failure),
    }
}

async fn probe_http(connection: &Arc<HttpConnection>) -> Result<Probe, Failure> {
    let limit = connection.limit();
    let asking = async {
        let reply = connection.send(&Hop::Modern, &discover(connection.ids())).await?;
        let status = reply.status();
        let outcome = Reply::Http(Box::new(reply)).answer().await?;
        Ok(judge(&outcome, Some(status)))
    };
    let asked = timeout(limit, asking)
        .await
        .unwrap_or_else(|_| Err(Failure::lost(Sent::Maybe, unanswered(method::DISCOVER, limit).message)));
    match asked {
        Err(failure) if !is_unreachable(&failure) => Ok(Probe::Legacy(Some(failure))),
        asked => asked,
    }
}

/// Whether a failure says nothing about the era because nothing was answered to anybody, or because the backend wants
/// to know first who asks.
fn is_unreachable(failure: &Failure) -> bool {
    match (failure.kind, failure.http_status) {
        (FailureKind::NotConnected | FailureKind::NotAuthorized, _) | (_, Some(401)) => true,
        (FailureKind::Unavailable, None) => failure.sent == Sent::No,
        _ => false,
    }
}

async fn ping_http(connection: &Arc<HttpConnection>) {
    if let Ok(reply) = connection.start(&Outgoing::new(connection.ids().next(), method::PING, None)).await {
        let _ = Reply::Http(Box::new(reply)).answer().await;
    }
}

/// Agrees with a backend over stdio.
pub(super) async fn over_pipe(
    pipe: &Pipe,
    ids: &Ids,
    known: Option<Era>,
    limit: Duration,
) -> Result<Agreement, Refusal> {
    let nothing = ClientCapabilities::default();
    if known == Some(Era::Legacy) {
        return legacy_pipe(pipe, ids, nothing).await;
    }
    let patience = patience(known, PIPE_HEAD_START, limit);
    for is_last in [false, true] {
        let settled = settle(
            probe_pipe(pipe, ids),
            patience,
            initialize_pipe(pipe, ids, nothing),
            ping_pipe(pipe, ids),
        );
        // A process that died before it answered the probe may have died of it, if only when it was given its next line.
        match settled.await.map_err(Refusal::FellOverProbe)? {
            Settled::Modern(agreement) | Settled::Legacy(agreement) => return Ok(agreement),
            // It is too slow for its head start even now; in the era that it agreed to last it does what it can.
            Settled::Both { legacy, .. } if known == Some(Era::Modern) => return Ok(legacy),
            Settled::Both { .. } => return Err(Refusal::AskedBoth),
            Settled::Again if !is_last => {}
            Settled::Again => break,
            Settled::Refused { rejection, .. } => return Err(rejection.failure.into()),
        }
    }
    initialize_pipe(pipe, ids, nothing).await.map_err(|rejection| rejection.failure.into())
}

async fn probe_pipe(pipe: &Pipe, ids: &Ids) -> Result<Probe, Failure> {
    let outcome = Reply::Pipe(pipe.start(&discover(ids))?).answer().await?;
    Ok(judge(&outcome, None))
}

async fn ping_pipe(pipe: &Pipe, ids: &Ids) {
    if let Ok(reply) = pipe.start(&Outgoing::new(ids.next(), method::PING, None)) {
        let _ = Reply::Pipe(reply).answer().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn word(outcome: Result<Value, Value>, status: Option<u16>) -> &'static str {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        match judge(&outcome.map(|it| RawJson::of(&it)).map_err(|it| RawJson::of(&it)), status) {
            Probe::Modern(_) => "modern",
            Probe::Again => "again",
            Probe::Unclear => "unclear",
            Probe::Legacy(_) => "legacy",
        }
    }

    #[test]
    fn the_era_is_read_from_the_answer_as_the_specification_says() {
        let error = |code: i32| Err(json!({"code": code, "message": ""}));
        let both = json!(["2025-11-25", "2026-07-28"]);
        assert_eq!(word(Ok(json!({"supportedVersions": both, "capabilities": {}})), None), "modern");
        assert_eq!(word(Ok(json!({"supportedVersions": ["2025-11-25"]})), None), "legacy");
        assert_eq!(word(Ok(json!({})), Some(200)), "legacy");
        assert_eq!(word(error(-32020), Some(400)), "modern");
        assert_eq!(word(error(-32601), Some(404)), "unclear");
        assert_eq!(word(error(-32601), Some(200)), "legacy");
        assert_eq!(word(error(-32601), None), "legacy");
        assert_eq!(word(error(-32000), Some(400)), "legacy");
        assert_eq!(word(Err(json!({"code": -32022, "data": {"supported": both}})), Some(400)), "again");
        assert_eq!(
            word(Err(json!({"code": -32022, "data": {"supported": ["2027-01-01"]}})), Some(400)),
            "legacy"
        );
    }
}
