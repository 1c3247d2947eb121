//! What a backend says it can do, and the handshake of the legacy era.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::timeout;

use crate::protocol::{ClientCapabilities, Era, RawJson, Revision, gateway_info, meta_key, method};

use super::Failure;
use super::declared;
use super::http::{Hop, HttpConnection};
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

    pub(super) fn read(result: &RawJson, revision: Revision) -> Self {
        Self {
            revision,
            capabilities: declared::capabilities(result),
            instructions: result.get("instructions").and_then(|text| text.to()),
        }
    }

    /// For a server that speaks modern errors but knows no `server/discover`.
    pub(super) fn assumed() -> Self {
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
    /// The process speaks both eras and agreed to both. The next attempt must ask in the modern one alone.
    AskedBoth,
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
            Self::NotStarted(_) | Self::FellOverProbe(_) | Self::AskedBoth => false,
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
            Self::AskedBoth => Failure::unavailable("the process was asked in both eras at once"),
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

fn initialize(ids: &Ids, version: Revision, capabilities: ClientCapabilities) -> Outgoing {
    let params = json!({
        "protocolVersion": version.as_str(),
        "capabilities": capabilities.to_json(),
        "clientInfo": gateway_info(),
    });
    Outgoing::new(ids.next(), method::INITIALIZE, Some(RawJson::of(&params)))
}

/// 401 and 403 say nothing about the era, 5xx says unreachable; any other refusal of a method says that the server is
/// of the other era.
fn speaks_of_era(status: StatusCode) -> bool {
    status.is_success() || (status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 429))
}

/// Why `initialize` led to no agreement.
#[derive(Debug)]
pub(super) struct Rejection {
    pub failure: Failure,
    /// The refusal names the modern version that the gateway speaks: the server is of that era.
    pub speaks_modern: bool,
}

impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Self {
        Self { failure, speaks_modern: false }
    }
}

pub(super) fn unanswered(method: &str, limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    Failure::unavailable(format!("no answer to `{method}` in {limit}"))
}

/// Opens a session of the legacy era.
pub(super) async fn initialize_http(connection: &Arc<HttpConnection>) -> Result<Agreement, Rejection> {
    let limit = connection.limit();
    let opening = async {
        let mut versions = Versions::default();
        let (agreement, session) = loop {
            let asked = initialize(connection.ids(), versions.next(), connection.capabilities());
            let reply = connection.send(&Hop::Opening, &asked).await?;
            let (session, status) = (reply.session(), reply.status().as_u16());
            let outcome = Reply::Http(Box::new(reply)).answer().await?;
            if let Some(agreed) = versions.judge(outcome, Some(status)) {
                break (agreed?, session);
            }
        };
        connection.agree(Hop::Legacy { revision: agreement.revision, session });
        connection.notify(method::INITIALIZED, None).await;
        Ok(agreement)
    };
    timeout(limit, opening).await.unwrap_or_else(|_| Err(unanswered(method::INITIALIZE, limit).into()))
}

/// The versions that `initialize` is sent with: the newest, then those that a refusal lists.
#[derive(Debug, Default)]
struct Versions {
    tried: Vec<Revision>,
    offered: Option<Revision>,
}

impl Versions {
    fn next(&mut self) -> Revision {
        let version = self.offered.unwrap_or(Revision::LATEST_LEGACY);
        self.tried.push(version);
        version
    }

    /// What an answer means; `None` if the next version is to be tried.
    fn judge(
        &mut self,
        outcome: Result<RawJson, RawJson>,
        status: Option<u16>,
    ) -> Option<Result<Agreement, Rejection>> {
        let offered = outcome.as_ref().err().map(offered_versions).unwrap_or_default();
        let is_new = |offer: &&Revision| offer.era() == Era::Legacy && !self.tried.contains(offer);
        self.offered = offered.iter().rev().find(is_new).copied();
        if self.offered.is_some() {
            return None;
        }
        let speaks_modern = offered.contains(&Revision::LATEST);
        Some(accept(outcome).map_err(|failure| Rejection {
            failure: status.into_iter().fold(failure, Failure::with_status),
            speaks_modern,
        }))
    }
}

/// The versions that a refusal lists as supported, oldest first; of a refusal without a list, those it mentions.
fn offered_versions(error: &RawJson) -> Vec<Revision> {
    let data = error.get("data");
    let list = ["supported", "supportedVersions"].into_iter().find_map(|name| {
        data.as_ref().and_then(|data| data.get(name)).and_then(|list| list.to::<Vec<String>>())
    });
    let is_offered = |revision: &Revision| match &list {
        Some(list) => list.iter().any(|version| version == revision.as_str()),
        None => error.as_str().contains(revision.as_str()),
    };
    Revision::ALL.into_iter().filter(is_offered).collect()
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

/// Opens a connection of the legacy era at a process that was not probed.
pub(super) async fn legacy_pipe(
    pipe: &Pipe,
    ids: &Ids,
    capabilities: ClientCapabilities,
) -> Result<Agreement, Refusal> {
    let agreed = initialize_pipe(pipe, ids, capabilities).await;
    agreed.map_err(|rejection| match pipe.signals().is_lost() {
        true => Refusal::Failed(rejection.failure),
        false => Refusal::NotLegacy(rejection.failure),
    })
}

/// Opens a connection of the legacy era whose server may ask what `capabilities` allow.
pub(super) async fn initialize_pipe(
    pipe: &Pipe,
    ids: &Ids,
    capabilities: ClientCapabilities,
) -> Result<Agreement, Rejection> {
    let mut versions = Versions::default();
    let agreement = loop {
        let asked = initialize(ids, versions.next(), capabilities);
        let outcome = Reply::Pipe(pipe.start(&asked)?).answer().await?;
        if let Some(agreed) = versions.judge(outcome, None) {
            break agreed?;
        }
    };
    pipe.notify(method::INITIALIZED, None);
    Ok(agreement)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The versions tried at a server that answers with these errors first.
    fn asked(refusals: &[serde_json::Value]) -> (Vec<&'static str>, Result<Agreement, Rejection>) {
        let (mut tried, mut versions, mut refusals) = (Vec::new(), Versions::default(), refusals.iter());
        loop {
            let version = versions.next().as_str();
            tried.push(version);
            let accepted = json!({"protocolVersion": version, "capabilities": {}});
            let outcome = refusals.next().map_or(Ok(RawJson::of(&accepted)), |error| Err(RawJson::of(error)));
            if let Some(agreed) = versions.judge(outcome, Some(400)) {
                return (tried, agreed);
            }
        }
    }

    #[test]
    fn a_version_refused_with_others_is_tried_again_from_those() {
        let listed = json!({"code": -32602, "message": "", "data": {"supported": ["2024-11-05", "2025-03-26"], "requested": "2025-11-25"}});
        let (tried, agreed) = asked(std::slice::from_ref(&listed));
        assert_eq!(tried, ["2025-11-25", "2025-03-26"]);
        assert_eq!(agreed.unwrap().revision, Revision::V2025_03_26);
        let mentioned = json!({"code": -32000, "message": "bad version 2025-11-25 (supported: 2024-11-05)"});
        assert_eq!(asked(&[mentioned]).0, ["2025-11-25", "2024-11-05"]);
        let (tried, agreed) = asked(&[listed.clone(), listed.clone(), listed]);
        assert_eq!(tried, ["2025-11-25", "2025-03-26", "2024-11-05"], "each once");
        assert_eq!(agreed.unwrap_err().failure.http_status, Some(400));
        let modern = json!({"code": -32022, "message": "", "data": {"supported": ["2026-07-28"]}});
        let (tried, agreed) = asked(&[modern]);
        assert!(tried.len() == 1 && agreed.unwrap_err().speaks_modern);
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
