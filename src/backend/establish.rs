//! From settings to a connection: start the process, connect, agree.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::protocol::{ClientCapabilities, Era};

use super::child::{Child, StderrTail};
use super::connection::{Connection, Established, Wire};
use super::handshake::{self, Agreement, Refusal};
use super::http::HttpConnection;
use super::ids::Ids;
use super::oauth::Authorizer;
use super::pipe::Pipe;
use super::{
    BackendSettings, Failure, ProcessSettings, RemoteSettings, TransportSettings, era_probe, sse, stdio,
};

/// Wait between attempts while a process that was just started does not listen yet.
const NOT_LISTENING: Duration = Duration::from_millis(50);
/// To learn how a process ended, after its output did.
pub(super) const EXIT_STATUS: Duration = Duration::from_millis(200);

/// One attempt to reach a backend.
pub(super) struct Attempt<'a> {
    pub settings: &'a BackendSettings,
    pub ids: &'a Ids,
    pub tail: &'a StderrTail,
    /// What an earlier attempt found out.
    pub known: Option<Era>,
    /// What the server is told that it may ask; only legacy servers are told once for all calls.
    pub capabilities: ClientCapabilities,
    pub authorizer: Option<&'a Arc<Authorizer>>,
}

impl Attempt<'_> {
    /// Reaches the backend once more, beside its first connection: a process that serves a URL is
    /// there already.
    pub(super) async fn run_again(&self) -> Result<Established, Refusal> {
        let reached = match &self.settings.transport {
            TransportSettings::Stdio(process) => return self.stdio(process).await,
            TransportSettings::Http { remote, .. } => self.http(remote).await?,
            TransportSettings::Sse { remote, .. } => self.sse(remote).await?,
        };
        Ok(self.established(reached.0, reached.1, None))
    }

    /// Reaches the backend.
    ///
    /// # Errors
    /// [`Refusal::FellOverProbe`] when the next attempt must not probe for the modern era.
    pub(super) async fn run(&self) -> Result<Established, Refusal> {
        match &self.settings.transport {
            TransportSettings::Stdio(process) => self.stdio(process).await,
            TransportSettings::Http { remote, process } => {
                self.launched(process.as_ref(), || self.http(remote)).await
            }
            TransportSettings::Sse { remote, process } => {
                self.launched(process.as_ref(), || async { self.sse(remote).await.map_err(Refusal::from) })
                    .await
            }
        }
    }

    async fn stdio(&self, process: &ProcessSettings) -> Result<Established, Refusal> {
        let timeouts = &self.settings.timeouts;
        let (pipe, mut child) =
            stdio::connect(process, &self.settings.name, self.tail, self.is_interactive())
                .map_err(Refusal::NotStarted)?;
        let agreed = timeout_at(Instant::now() + timeouts.start, self.agree_over_pipe(&pipe));
        let failed = match agreed.await {
            Ok(Ok(agreement)) => return Ok(self.established(Wire::Pipe(pipe), agreement, Some(child))),
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::Failed(Failure::unavailable(format!(
                "the process did not finish the handshake in {}",
                humantime::format_duration(timeouts.start)
            ))),
        };
        let (is_lost, is_ended) = (pipe.signals().is_lost(), pipe.signals().is_ended());
        // A process that ends because the gateway closed its standard input says nothing about the failure.
        let failed = match (is_lost, is_ended) {
            (true, false) => failed,
            (_, true) => explain(failed, &mut child, EXIT_STATUS).await,
            (false, false) => explain(failed, &mut child, Duration::ZERO).await,
        };
        pipe.lose("the handshake failed");
        match is_lost {
            true => child.stop_lost().await,
            false => child.stop().await,
        }
        Err(failed)
    }

    async fn agree_over_pipe(&self, pipe: &Pipe) -> Result<Agreement, Refusal> {
        if self.is_interactive() {
            return handshake::legacy_pipe(pipe, self.ids, self.capabilities).await;
        }
        era_probe::over_pipe(pipe, self.ids, self.known, self.settings.timeouts.connect).await
    }

    fn is_interactive(&self) -> bool {
        !self.capabilities.is_empty()
    }

    async fn http(&self, remote: &RemoteSettings) -> Result<(Wire, Agreement), Refusal> {
        let limit = self.settings.timeouts.connect;
        let connection = HttpConnection::new(
            remote,
            &self.settings.name,
            self.authorizer.cloned(),
            self.ids.clone(),
            self.capabilities,
            limit,
        )?;
        let connection = Arc::new(connection);
        match era_probe::over_http(&connection, self.known).await {
            Ok(agreement) => Ok((Wire::Http(connection), agreement)),
            Err(Refusal::NotStreamable(failure)) => {
                self.sse(remote).await.map_err(|_not_sse_either| Refusal::Failed(failure))
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn sse(&self, remote: &RemoteSettings) -> Result<(Wire, Agreement), Failure> {
        let limit = self.settings.timeouts.connect;
        let (authorizer, is_interactive) = (self.authorizer.cloned(), self.is_interactive());
        let pipe = sse::connect(remote, &self.settings.name, authorizer, is_interactive, limit).await?;
        let agreeing = handshake::initialize_pipe(&pipe, self.ids, self.capabilities);
        let agreed = timeout_at(Instant::now() + limit, agreeing).await;
        let failure = match agreed {
            Ok(Ok(agreement)) => return Ok((Wire::Pipe(pipe), agreement)),
            Ok(Err(rejection)) => rejection.failure,
            Err(_) => Failure::unavailable(format!(
                "no answer to `initialize` in {}",
                humantime::format_duration(limit)
            )),
        };
        pipe.lose("the handshake failed");
        Err(failure)
    }

    /// Starts the process, if there is one, and connects until it listens, it ends, or time is up.
    async fn launched<F, Connecting>(
        &self,
        process: Option<&ProcessSettings>,
        connect: F,
    ) -> Result<Established, Refusal>
    where
        F: Fn() -> Connecting,
        Connecting: Future<Output = Result<(Wire, Agreement), Refusal>>,
    {
        let Some(process) = process else {
            let (wire, agreement) = connect().await?;
            return Ok(self.established(wire, agreement, None));
        };
        let (mut child, pipes) = Child::spawn(process, &self.settings.name, self.tail)
            .map_err(|error| Refusal::NotStarted(Failure::unavailable(error.to_string())))?;
        // Its standard input stays open for as long as the gateway lives: when it closes, the server
        // may know that it is alone. What it prints is not a message and is thrown away.
        let kept = pipes.map(|pipes| {
            tokio::spawn(discard(pipes.stdout));
            pipes.stdin
        });
        let deadline = Instant::now() + self.settings.timeouts.start;
        let refusal = loop {
            let attempt = tokio::select! {
                attempt = connect() => attempt,
                reason = child.ended() => break Failure::unavailable(reason).into(),
            };
            match attempt {
                Ok((wire, agreement)) => {
                    child.keep_stdin(kept);
                    return Ok(self.established(wire, agreement, Some(child)));
                }
                Err(refusal) if Instant::now() >= deadline => break refusal,
                Err(_not_yet) => sleep(NOT_LISTENING).await,
            }
        };
        drop(kept);
        child.stop().await;
        Err(refusal)
    }

    fn established(&self, wire: Wire, agreement: Agreement, child: Option<Child>) -> Established {
        let connection = Arc::new(Connection::new(wire, agreement, self.ids.clone()));
        Established { connection, child }
    }
}

/// How a process ended by itself says more than that its output did.
async fn explain(refusal: Refusal, child: &mut Child, patience: Duration) -> Refusal {
    let Ok(reason) = tokio::time::timeout(patience, child.ended()).await else { return refusal };
    match refusal {
        Refusal::AskedBoth => Refusal::AskedBoth,
        Refusal::NotLegacy(failure) => Refusal::NotLegacy(failure),
        Refusal::FellOverProbe(failure) => Refusal::FellOverProbe(Failure { message: reason, ..failure }),
        _ => Refusal::Failed(Failure::unavailable(reason)),
    }
}

async fn discard(mut stdout: tokio::process::ChildStdout) {
    let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
}
