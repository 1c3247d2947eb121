//! Which era a backend speaks, and what it says it can do.
//!
//! The rules are those of MCP 2026-07-28 (basic/versioning, backward compatibility): ask
//! `server/discover` first; what does not answer it as a modern server would is asked `initialize`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::protocol::{ClientCapabilities, Era, RawJson, Revision, code, gateway_info, meta_key, method};

use super::Failure;
use super::declared;
use super::http::{Hop, HttpConnection, is_modern_error};
use super::ids::Ids;
use super::pipe::Pipe;
use super::wire::{Outgoing, Reply};

/// A draft that the TypeScript SDK still takes from a server; it differs from the first revision in nothing that the
/// gateway uses.
const BEFORE_THE_FIRST: &str = "2024-10-07";

/// What a backend said about itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Agreement {
    pub revision: Revision,
    pub capabilities: RawJson,
    pub instructions: Option<String>,
}

impl Agreement {
    /// Whether the backend says it has `list`: `tools`, `prompts` or `resources`.
    pub(super) fn offers(&self, list: &str) -> bool {
        self.capabilities.get(list).is_some()
    }

    /// Whether it says it will tell when `list` changes.
    pub(super) fn list_may_change(&self, list: &str) -> bool {
        let flag = self.capabilities.get(list).and_then(|list| list.get("listChanged"));
        flag.and_then(|flag| flag.to::<bool>()).unwrap_or(false)
    }

    /// Whether it says it will tell when one of its resources changes.
    pub(super) fn can_subscribe(&self) -> bool {
        let flag = self.capabilities.get("resources").and_then(|resources| resources.get("subscribe"));
        flag.and_then(|flag| flag.to::<bool>()).unwrap_or(false)
    }

    fn read(result: &RawJson, revision: Revision) -> Self {
        Self {
            revision,
            capabilities: declared::capabilities(result),
            instructions: result.get("instructions").and_then(|text| text.to()),
        }
    }

    /// For a server that speaks modern errors but knows no `server/discover`.
    fn assumed() -> Self {
        let capabilities = RawJson::of(&json!({"tools": {}, "prompts": {}, "resources": {}}));
        Self { revision: Revision::LATEST, capabilities, instructions: None }
    }
}

/// Why there is no agreement.
#[derive(Debug)]
pub(super) enum Refusal {
    /// For good or for now.
    Failed(Failure),
    /// The process could not be started.
    NotStarted(Failure),
    /// The connection ended over the modern probe: some old servers fall over a method they do not
    /// know. The next attempt must not probe.
    FellOverProbe(Failure),
    /// The process was asked `initialize` without a probe, and lives and refuses it: it is no legacy server, and
    /// the next attempt must probe.
    NotLegacy(Failure),
    /// The endpoint does not know Streamable HTTP; HTTP+SSE may be worth a try.
    NotStreamable(Failure),
}

impl Refusal {
    /// Whether `initialize` as such was refused, and not the one who asked, nor the connection lost.
    pub(super) fn is_of_the_era(&self) -> bool {
        match self {
            Self::NotLegacy(_) => true,
            Self::Failed(failure) | Self::NotStreamable(failure) => {
                let status = failure.http_status.and_then(|status| StatusCode::from_u16(status).ok());
                status.is_some_and(speaks_of_era)
            }
            Self::NotStarted(_) | Self::FellOverProbe(_) => false,
        }
    }

    /// What a call is told.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure)
            | Self::NotStarted(failure)
            | Self::FellOverProbe(failure)
            | Self::NotLegacy(failure)
            | Self::NotStreamable(failure) => failure,
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// `_meta` of a request the gateway makes on its own account to a modern backend.
pub(super) fn own_meta() -> RawJson {
    RawJson::of(&json!({
        meta_key::PROTOCOL_VERSION: Revision::LATEST.as_str(),
        meta_key::CLIENT_CAPABILITIES: {},
        meta_key::CLIENT_INFO: gateway_info(),
    }))
}

fn discover(ids: &Ids) -> Outgoing {
    let params = json!({ "_meta": own_meta().to::<Value>() });
    Outgoing::new(ids.next(), method::DISCOVER, Some(RawJson::of(&params)))
}

fn initialize(ids: &Ids, capabilities: ClientCapabilities) -> Outgoing {
    let params = json!({
        "protocolVersion": Revision::LATEST_LEGACY.as_str(),
        "capabilities": capabilities.to_json(),
        "clientInfo": gateway_info(),
    });
    Outgoing::new(ids.next(), method::INITIALIZE, Some(RawJson::of(&params)))
}

/// What the probe showed.
enum Probe {
    Modern(Agreement),
    /// It refuses our version but lists it as supported: ask once more.
    Again,
    Legacy,
}

fn judge(outcome: &Result<RawJson, RawJson>, status: Option<StatusCode>) -> Probe {
    let supports = |list: Option<RawJson>| {
        let versions = list.and_then(|list| list.to::<Vec<String>>()).unwrap_or_default();
        versions.iter().any(|version| version == Revision::LATEST.as_str())
    };
    match outcome {
        Ok(result) if supports(result.get("supportedVersions")) => {
            Probe::Modern(Agreement::read(result, Revision::LATEST))
        }
        Ok(_) => Probe::Legacy,
        Err(error) if error.get("code").and_then(|code| code.to()) == Some(code::UNSUPPORTED_VERSION) => {
            let listed = supports(error.get("data").and_then(|data| data.get("supported")));
            if listed { Probe::Again } else { Probe::Legacy }
        }
        Err(error) if is_modern_error(error, status) => Probe::Modern(Agreement::assumed()),
        Err(_) => Probe::Legacy,
    }
}

/// Agrees with a backend over Streamable HTTP and settles how requests are sent from now on.
pub(super) async fn over_http(
    connection: &Arc<HttpConnection>,
    known: Option<Era>,
) -> Result<Agreement, Refusal> {
    if known != Some(Era::Legacy) {
        for _ in 0..2 {
            match probe_http(connection).await? {
                Probe::Modern(agreement) => {
                    connection.agree(Hop::Modern);
                    return Ok(agreement);
                }
                Probe::Again => {}
                Probe::Legacy => break,
            }
        }
    }
    initialize_http(connection).await.map_err(|failure| match failure.http_status {
        Some(400 | 404 | 405) => Refusal::NotStreamable(failure),
        _ => Refusal::Failed(failure),
    })
}

async fn probe_http(connection: &Arc<HttpConnection>) -> Result<Probe, Failure> {
    let limit = connection.limit();
    let asking = async {
        let reply = connection.send(&Hop::Modern, &discover(connection.ids())).await?;
        let status = reply.status();
        match Reply::Http(Box::new(reply)).answer().await {
            Ok(outcome) => Ok(judge(&outcome, Some(status))),
            Err(_) if speaks_of_era(status) => Ok(Probe::Legacy),
            Err(failure) => Err(failure),
        }
    };
    timeout(limit, asking).await.unwrap_or_else(|_| Err(unanswered(method::DISCOVER, limit)))
}

/// 401 and 403 say nothing about the era, 5xx says unreachable; any other refusal of a method says that the server is
/// of the other era.
fn speaks_of_era(status: StatusCode) -> bool {
    status.is_success() || (status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 429))
}

fn unanswered(method: &str, limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    Failure::unavailable(format!("no answer to `{method}` in {limit}"))
}

/// Opens a session of the legacy era.
pub(super) async fn initialize_http(connection: &Arc<HttpConnection>) -> Result<Agreement, Failure> {
    let limit = connection.limit();
    let opening = async {
        let reply =
            connection.send(&Hop::Opening, &initialize(connection.ids(), connection.capabilities())).await?;
        let (session, status) = (reply.session(), reply.status());
        let outcome = Reply::Http(Box::new(reply)).answer().await;
        let agreement = accept(outcome?).map_err(|failure| failure.with_status(status.as_u16()))?;
        connection.agree(Hop::Legacy { revision: agreement.revision, session });
        connection.notify(method::INITIALIZED, None).await;
        Ok(agreement)
    };
    timeout(limit, opening).await.unwrap_or_else(|_| Err(unanswered(method::INITIALIZE, limit)))
}

fn accept(outcome: Result<RawJson, RawJson>) -> Result<Agreement, Failure> {
    let result = outcome
        .map_err(|error| Failure::unavailable(format!("`initialize` was refused: {}", message_of(&error))))?;
    let version =
        result.get("protocolVersion").and_then(|version| version.to::<String>()).unwrap_or_default();
    match Revision::parse(&version).or((version == BEFORE_THE_FIRST).then_some(Revision::V2024_11_05)) {
        Some(revision) if revision.era() == Era::Legacy => Ok(Agreement::read(&result, revision)),
        _ => Err(Failure::unavailable(format!(
            "the backend answered `initialize` with protocol version `{}`, which the gateway does not speak there",
            version.chars().take(32).collect::<String>()
        ))),
    }
}

/// The message of a backend's error, bounded.
pub(super) fn message_of(error: &RawJson) -> String {
    let message = error.get("message").and_then(|message| message.to::<String>()).unwrap_or_default();
    message.chars().take(200).collect()
}

/// Agrees with a backend over stdio. Until it has said anything at all, a slow start cannot be told
/// from a server that ignores what it does not know: after `patience` it is asked both.
pub(super) async fn over_pipe(
    pipe: &Pipe,
    ids: &Ids,
    known: Option<Era>,
    patience: Duration,
) -> Result<Agreement, Refusal> {
    if known == Some(Era::Legacy) {
        return legacy_pipe(pipe, ids, ClientCapabilities::default()).await;
    }
    let mut probe = Box::pin(probe_pipe(pipe, ids));
    let judged = match timeout(patience, &mut probe).await {
        Ok(judged) => judged,
        Err(_) => tokio::select! {
            judged = &mut probe => judged,
            // The process may have died of the probe only when it was given its next line.
            agreement = initialize_pipe(pipe, ids, ClientCapabilities::default()) => return agreement.map_err(Refusal::FellOverProbe),
        },
    };
    match judged.map_err(Refusal::FellOverProbe)? {
        Probe::Modern(agreement) => Ok(agreement),
        Probe::Again => match probe_pipe(pipe, ids).await? {
            Probe::Modern(agreement) => Ok(agreement),
            _ => Ok(initialize_pipe(pipe, ids, ClientCapabilities::default()).await?),
        },
        Probe::Legacy => Ok(initialize_pipe(pipe, ids, ClientCapabilities::default()).await?),
    }
}

/// Opens a connection of the legacy era at a process that was not probed.
pub(super) async fn legacy_pipe(
    pipe: &Pipe,
    ids: &Ids,
    capabilities: ClientCapabilities,
) -> Result<Agreement, Refusal> {
    let agreed = initialize_pipe(pipe, ids, capabilities).await;
    agreed.map_err(|failure| match pipe.signals().is_lost() {
        true => Refusal::Failed(failure),
        false => Refusal::NotLegacy(failure),
    })
}

async fn probe_pipe(pipe: &Pipe, ids: &Ids) -> Result<Probe, Failure> {
    let outcome = Reply::Pipe(pipe.start(&discover(ids))?).answer().await?;
    Ok(judge(&outcome, None))
}

/// Opens a connection of the legacy era whose server may ask what `capabilities` allow.
pub(super) async fn initialize_pipe(
    pipe: &Pipe,
    ids: &Ids,
    capabilities: ClientCapabilities,
) -> Result<Agreement, Failure> {
    let outcome = Reply::Pipe(pipe.start(&initialize(ids, capabilities))?).answer().await?;
    let agreement = accept(outcome)?;
    pipe.notify(method::INITIALIZED, None);
    Ok(agreement)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(value: Value) -> RawJson {
        RawJson::of(&value)
    }

    fn word(outcome: Result<Value, Value>, status: Option<u16>) -> &'static str {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        match judge(&outcome.map(raw).map_err(raw), status) {
            Probe::Modern(_) => "modern",
            Probe::Again => "again",
            Probe::Legacy => "legacy",
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
        assert_eq!(word(error(-32601), Some(404)), "modern");
        assert_eq!(word(error(-32601), Some(200)), "legacy");
        assert_eq!(word(error(-32601), None), "legacy");
        assert_eq!(word(error(-32000), Some(400)), "legacy");
        assert_eq!(word(Err(json!({"code": -32022, "data": {"supported": both}})), Some(400)), "again");
        assert_eq!(
            word(Err(json!({"code": -32022, "data": {"supported": ["2027-01-01"]}})), Some(400)),
            "legacy"
        );
    }

    #[test]
    fn refusals_of_credentials_and_failures_say_nothing_about_the_era() {
        let says = |status| speaks_of_era(StatusCode::from_u16(status).unwrap());
        assert!(says(400) && says(404) && says(405) && says(200));
        assert!(!says(401) && !says(403) && !says(429) && !says(500) && !says(503));
        let is_of_the_era =
            |status| Refusal::Failed(Failure::malformed("").with_status(status)).is_of_the_era();
        assert!(is_of_the_era(200) && is_of_the_era(400) && !is_of_the_era(403) && !is_of_the_era(502));
        assert!(!Refusal::Failed(Failure::unavailable("the token is refused")).is_of_the_era());
        assert!(Refusal::NotLegacy(Failure::unavailable("method not found")).is_of_the_era());
    }
}
