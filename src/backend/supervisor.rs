//! Keeps a backend connected: for ever, with jittered waits, and fetches what it offers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::protocol::{ClientCapabilities, Era};
use crate::resilience::{Backoff, jitter};

use super::child::Child;
use super::connection::{Connection, Established};
use super::establish::{Attempt, EXIT_STATUS};
use super::handshake::Refusal;
use super::look_schedule::{Look, LookSchedule};
use super::offer::fetch;
use super::outage_log::OutageLog;
use super::state::Ready;
use super::{Backend, Failure, State, now, said};
use crate::telemetry::LogLimit;

/// Until a list is asked for again that the backend refused while it listed others.
const PARTIAL: Duration = Duration::from_secs(30);
/// Between two looks whether a backend over HTTP still answers.
const HEALTH: Duration = Duration::from_secs(15);
/// Longest pause that a backend which cannot be connected to may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// A connection that lived this long starts the waits anew.
const STABLE: Duration = Duration::from_secs(10);

const READY_LINES: LogLimit = LogLimit::new("a backend is ready", 5);
const CUT_LINES: LogLimit = LogLimit::new("a list is not whole", 5);
const REFETCH_LINES: LogLimit = LogLimit::new("the lists of a backend could not be fetched", 1);

impl Backend {
    /// Keeps the backend connected until `stop`; then ends the connection and the process behind it.
    /// `starts` bounds how many backends are being started at a time; `refresh` is how often what it
    /// offers is fetched without being asked to.
    pub async fn supervise(
        self: Arc<Self>,
        starts: Arc<Semaphore>,
        refresh: Duration,
        stop: CancellationToken,
    ) {
        match self.replicas() {
            Some(replicas) => {
                replicas.supervise(&starts, refresh, &stop).await;
                self.publish_state(State::Stopped);
            }
            None => self.supervise_alone(starts, refresh, stop).await,
        }
    }

    /// The same for one that has no replicas, or is one.
    pub(super) async fn supervise_alone(
        self: Arc<Self>,
        starts: Arc<Semaphore>,
        refresh: Duration,
        stop: CancellationToken,
    ) {
        let mut supervisor = Supervisor {
            backoff: Backoff::new(&self.settings().restart),
            attempted_before: false,
            refused: None,
            outage: OutageLog::default(),
            starts,
            refresh,
            stop,
            backend: self,
        };
        while !supervisor.stop.is_cancelled() {
            supervisor.round().await;
        }
        // Calls that were given up have no more to say than what ends them.
        let patience = supervisor.backend.settings().timeouts.connect;
        tokio::join!(supervisor.backend.pool.end(patience), supervisor.backend.kept.close(patience));
        supervisor.backend.publish_state(State::Stopped);
    }
}

struct Supervisor {
    backend: Arc<Backend>,
    backoff: Backoff,
    /// Whether the next attempt is one more after a loss or a failure, and not the second half of one.
    attempted_before: bool,
    /// What a process said in the round before that was asked `initialize` without a probe, and refused.
    refused: Option<String>,
    outage: OutageLog,
    starts: Arc<Semaphore>,
    refresh: Duration,
    stop: CancellationToken,
}

impl Supervisor {
    /// One attempt and, if it succeeds, the life of the connection.
    async fn round(&mut self) {
        if std::mem::replace(&mut self.attempted_before, true) {
            self.backend.restarted();
        }
        let attempt = self.attempt().await;
        let refused = self.refused.take();
        let (reason, asked) = match attempt {
            Ok(established) => {
                let since = Instant::now();
                let reason = self.live(established).await;
                if !self.stop.is_cancelled() {
                    self.backend.crashed();
                }
                if since.elapsed() >= STABLE {
                    self.backoff.reset();
                    self.outage.over();
                }
                (reason, None)
            }
            Err(Refusal::FellOverProbe(failure)) => {
                self.backend.learn_era(Some(Era::Legacy));
                self.backend.crashed();
                if refused.is_none() && self.backend.held_for().is_none() {
                    tracing::debug!(backend = self.backend.name(), %failure, "starting again without the modern probe");
                    self.attempted_before = false;
                    return;
                }
                // Of both, what it said to the method that it knows is the reason.
                (refused.unwrap_or(failure.message), None)
            }
            Err(Refusal::AskedBoth) => {
                self.backend.learn_era(Some(Era::Modern));
                tracing::debug!(
                    backend = self.backend.name(),
                    "starting again with the modern question alone"
                );
                self.attempted_before = false;
                return;
            }
            Err(Refusal::NotLegacy(failure)) => {
                // What it fell over before was not the probe, or another server is in its place.
                self.backend.learn_era(None);
                self.backend.crashed();
                self.refused = Some(failure.message.clone());
                if self.backend.held_for().is_none() {
                    tracing::debug!(backend = self.backend.name(), %failure, "starting again with the modern probe");
                    self.attempted_before = false;
                    return;
                }
                (failure.message, None)
            }
            Err(Refusal::NotStarted(failure)) => (failure.message, None),
            Err(Refusal::Failed(failure) | Refusal::NotStreamable(failure)) => {
                self.backend.learn_era(None);
                if !self.stop.is_cancelled() {
                    self.backend.crashed();
                }
                (failure.message, failure.retry_after)
            }
        };
        if !self.stop.is_cancelled() {
            self.pause(reason, asked).await;
        }
    }

    async fn attempt(&self) -> Result<Established, Refusal> {
        let stopped = || Refusal::Failed(Failure::unavailable("stopping"));
        let _start = tokio::select! {
            start = Arc::clone(&self.starts).acquire_owned() => start.map_err(|_| stopped())?,
            () = self.stop.cancelled() => return Err(stopped()),
        };
        let backend = &self.backend;
        let attempt = Attempt {
            settings: backend.settings(),
            ids: &backend.ids,
            tail: &backend.tail,
            known: backend.known_era(),
            capabilities: ClientCapabilities::default(),
            authorizer: backend.authorizer(),
        };
        let established = tokio::select! {
            established = attempt.run() => established?,
            () = self.stop.cancelled() => return Err(stopped()),
        };
        match self.fetch(&established.connection).await {
            Ok(()) => Ok(established),
            Err(failure) => {
                established.end(&failure.message).await;
                Err(failure.into())
            }
        }
    }

    async fn fetch(&self, connection: &Connection) -> Result<(), Failure> {
        let (limit, before) = (self.backend.settings().timeouts.connect, self.backend.offer());
        let begun = self.backend.watched.freshness.begin_fetch();
        let fetching = fetch(connection, limit, before.as_deref());
        let fetched = self.stop.run_until_cancelled(fetching).await;
        let offer = fetched.unwrap_or_else(|| Err(Failure::unavailable("stopping")))?;
        let known = before.as_ref().map_or(&[][..], |before| &before.cut);
        for cut in offer.cut.iter().filter(|cut| !known.contains(cut)) {
            if CUT_LINES.admits(self.backend.name()) {
                tracing::warn!(backend = self.backend.name(), reason = cut, "a list is not whole");
            }
        }
        self.backend.publish_offer(offer);
        self.backend.watched.freshness.end_fetch(begun);
        Ok(())
    }

    /// From ready to lost; returns why.
    async fn live(&mut self, mut established: Established) -> String {
        let connection = Arc::clone(&established.connection);
        self.backend.learn_era(Some(connection.revision().era()));
        self.backend.connected_anew();
        self.backend.publish_state(State::Ready(Ready(Arc::clone(&connection))));
        if READY_LINES.admits(self.backend.name()) {
            tracing::info!(
                backend = self.backend.name(),
                revision = connection.revision().as_str(),
                era = connection.revision().era().as_str(),
                "backend ready"
            );
        }
        connection.listen(&self.backend.watched);
        let (backend, shared) = (Arc::clone(&self.backend), Arc::clone(&connection));
        let reopening = tokio::spawn(async move { backend.reopen_legacy_side(&shared).await });
        let reason = self.watch(&connection, established.child.as_mut()).await;
        // Known at once, so that no call tries; how the process ended is known a moment later.
        self.backend.publish_state(State::Down { reason: reason.clone(), retry_at: None });
        let is_ended = connection.signals().is_ended();
        let reason = exit_reason(established.child.as_mut(), is_ended, reason).await;
        reopening.abort();
        self.backend.close_legacy_side(&reason).await;
        self.backend.pool.close().await;
        established.end(&reason).await;
        reason
    }

    async fn watch(&self, connection: &Connection, mut child: Option<&mut Child>) -> String {
        let mut refresh = ticks(self.refresh);
        let (mut health, mut looks) = (ticks(HEALTH), LookSchedule::new());
        let mut partial = self.partial(None);
        loop {
            let checked = tokio::select! {
                reason = connection.signals().lost() => return reason,
                reason = ended(&mut child) => return reason,
                () = self.stop.cancelled() => return "the gateway is stopping".to_owned(),
                () = self.changed(connection) => {
                    looks.changed(Instant::now());
                    continue;
                }
                () = self.backend.watched.freshness.wanted() => {
                    looks.wanted(Instant::now());
                    continue;
                }
                () = looks.due() => match looks.begin(Instant::now()) {
                    Look::Changed => self.fetch_due(connection, &mut looks).await,
                    Look::Demand => {
                        // The client does without what could not be fetched in time.
                        if let Err(failure) = self.fetch_due(connection, &mut looks).await {
                            tracing::debug!(backend = self.backend.name(), %failure, "lists were wanted in vain");
                            continue;
                        }
                        Ok(())
                    }
                },
                _ = refresh.tick() => self.fetch_due(connection, &mut looks).await,
                () = sleep_until(partial.unwrap_or_else(Instant::now)), if partial.is_some() => {
                    self.fetch_due(connection, &mut looks).await
                }
                _ = health.tick() => {
                    self.backend.pool.sweep();
                    self.backend.kept.sweep();
                    // A server busy with a call may not answer anything else; the call shows that it lives.
                    if !connection.needs_health_checks() || self.backend.is_busy() {
                        continue;
                    }
                    connection.check_health(self.backend.settings().timeouts.connect).await
                }
            };
            partial = self.partial(partial);
            if let Err(failure) = checked {
                if connection.needs_health_checks() && !self.backend.is_busy() {
                    return failure.message;
                }
                // A server may be too busy with a call to answer; its end would show otherwise.
                let backend = self.backend.name();
                if REFETCH_LINES.admits(backend) {
                    tracing::warn!(backend, %failure, "the lists of the backend could not be fetched");
                }
            }
        }
    }

    /// Fetches the lists, which serves every look that is due.
    async fn fetch_due(&self, connection: &Connection, looks: &mut LookSchedule) -> Result<(), Failure> {
        self.fetch(connection).await?;
        looks.fetched();
        Ok(())
    }

    /// Waits until the backend says that one of its lists changed, on any of its connections.
    async fn changed(&self, connection: &Connection) {
        tokio::select! {
            () = connection.signals().changed() => {}
            () = self.backend.watched.freshness.changed() => {}
        }
    }

    /// When what the backend did not list is asked for again, if there is anything of that.
    fn partial(&self, due: Option<Instant>) -> Option<Instant> {
        let is_partial = self.backend.offer().is_some_and(|offer| offer.is_partial);
        let now = Instant::now();
        is_partial.then(|| due.filter(|due| *due > now).unwrap_or(now + PARTIAL))
    }

    /// Waits for the next attempt, at least as long as the backend `asked` for.
    async fn pause(&mut self, reason: String, asked: Option<Duration>) {
        let (wait, held) = (self.backoff.next(jitter()), self.backend.held_for());
        let asked = asked.map(|asked| asked.min(LONGEST_PAUSE));
        let wait = held.into_iter().chain(asked).fold(wait, Duration::max);
        let said = said::reason(self.backend.tail.lock().iter().map(String::as_str));
        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let (backend, held) = (self.backend.name(), held.is_some());
        match self.outage.failed(&reason, now()) {
            Some(earlier) => {
                tracing::warn!(backend, reason, said, held, retry_ms, earlier, "backend down");
            }
            None => tracing::debug!(backend, reason, said, held, retry_ms, "backend still down"),
        }
        self.backend.publish_state(State::Down { reason, retry_at: Some(Instant::now() + wait) });
        tokio::select! {
            () = sleep(wait) => {}
            () = connected_elsewhere(&self.backend) => {}
            () = self.backend.released() => self.backoff.reset(),
            () = self.stop.cancelled() => {}
        }
    }
}

/// Waits until a person let the gateway in, if that is what is missing.
async fn connected_elsewhere(backend: &Backend) {
    match backend.authorizer() {
        Some(authorizer) => authorizer.connected_elsewhere().await,
        None => std::future::pending().await,
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let first = Instant::now() + period.mul_f64(0.5 + jitter() / 2.0);
    let mut ticks = interval_at(first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn ended(child: &mut Option<&mut Child>) -> String {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}

/// The end of a process's output says less than how the process ended. A process whose standard input was closed because
/// the gateway gave the connection up (`!is_ended`) ends for that, and its end hides the reason.
async fn exit_reason(child: Option<&mut Child>, is_ended: bool, reason: String) -> String {
    let Some(child) = child.filter(|child| is_ended || !child.speaks_itself()) else { return reason };
    timeout(EXIT_STATUS, child.ended()).await.unwrap_or(reason)
}
