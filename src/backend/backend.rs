//! A backend, as the rest of the gateway sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::protocol::Era;
use crate::resilience::{Bulkhead, RetryBudget, SharedBreaker};
use crate::telemetry::backends;

use super::child::StderrTail;
use super::connection::Connection;
use super::hold::Hold;
use super::ids::Ids;
use super::kept::Kept;
use super::legacy_side::LegacySide;
use super::lobby::Lobby;
use super::oauth::Grants;
use super::pool::Pool;
use super::replicas::{Peers, Replicas, taken_out};
use super::sharing::Wants;
use super::state::unix_seconds;
use super::tools::Tools;
use super::watched::Watched;
use super::{Admission, Authorizer, BackendSettings, Failure, FailureKind, Offer, Sent, State, Vault, now};

/// Told whenever a backend's state or offer changed.
pub type Changed = Arc<dyn Fn() + Send + Sync>;

/// One MCP server behind the gateway.
pub struct Backend {
    settings: BackendSettings,
    grants: Option<Arc<Grants>>,
    pub(super) ids: Ids,
    pub(super) tail: StderrTail,
    pub(super) breaker: SharedBreaker,
    pub(super) bulkhead: Bulkhead,
    pub(super) lobby: Lobby,
    /// Every call that is not over, those included that have given their place back.
    pub(super) calls: TaskTracker,
    budget: Mutex<RetryBudget>,
    tools: Tools,
    pub(super) pool: Arc<Pool>,
    pub(super) kept: Arc<Kept>,
    pub(super) watched: Arc<Watched>,
    pub(super) legacy_side: LegacySide,
    state: watch::Sender<State>,
    offer: ArcSwapOption<Offer>,
    /// How often what it offers was fetched.
    pub(super) fetches: watch::Sender<u64>,
    pub(super) last_error: Mutex<Option<String>>,
    /// The era it speaks, once found out; forgotten when an attempt fails.
    era: Mutex<Option<Era>>,
    /// Found out to refuse `initialize`, since it was last connected.
    pub(super) only_modern: AtomicBool,
    pub(super) fetched_at: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) hold: Hold,
    changed: Changed,
    /// Another one has its name now, or nobody: what becomes of it is not told any more.
    is_retired: AtomicBool,
    /// The places that serve it, if there are several.
    replicas: Option<Replicas>,
    /// For one that is a replica itself.
    pub(super) peers: Option<Peers>,
}

impl Backend {
    /// A backend that nobody tries to reach yet; see [`Backend::supervise`]. `known` is the era that an
    /// earlier run of the gateway found out; its grant, if it needs one, is in the vault.
    pub fn new(
        settings: BackendSettings,
        known: Option<Era>,
        vault: &Arc<Vault>,
        changed: Changed,
    ) -> Arc<Self> {
        let grants = Grants::of(&settings, vault);
        Arc::new_cyclic(|this| {
            let mut backend = Self::alone(settings, known, grants, changed);
            backend.replicas = Replicas::of(&backend, known, this);
            backend
        })
    }

    /// One that has no replicas, or is one.
    pub(super) fn alone(
        settings: BackendSettings,
        known: Option<Era>,
        grants: Option<Arc<Grants>>,
        changed: Changed,
    ) -> Self {
        let backend = Self {
            grants,
            breaker: SharedBreaker::new(settings.breaker.clone()),
            bulkhead: Bulkhead::new(&settings.concurrency),
            lobby: Lobby::default(),
            calls: TaskTracker::new(),
            pool: Pool::new(settings.max_connections(), settings.idle()),
            kept: Kept::new(settings.max_connections(), settings.idle()),
            budget: Mutex::new(RetryBudget::new(&settings.retries)),
            tools: Tools::new(&settings.timeouts, &settings.tools),
            watched: Arc::default(),
            legacy_side: LegacySide::default(),
            ids: Ids::default(),
            tail: Arc::new(Mutex::new(VecDeque::new())),
            state: watch::Sender::default(),
            offer: ArcSwapOption::empty(),
            fetches: watch::Sender::default(),
            last_error: Mutex::new(None),
            era: Mutex::new(known),
            only_modern: AtomicBool::new(false),
            fetched_at: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            hold: Hold::new(&settings.restart),
            settings,
            changed,
            is_retired: AtomicBool::new(false),
            replicas: None,
            peers: None,
        };
        backends::state(backend.name(), backend.state.borrow().label());
        backends::begin(backend.name());
        backend
    }

    pub(super) fn replicas(&self) -> Option<&Replicas> {
        self.replicas.as_ref()
    }

    /// Does something at each replica, if there are several.
    pub(super) fn each_replica(&self, action: impl Fn(&Self)) {
        self.replicas.iter().flat_map(Replicas::each).for_each(action);
    }

    /// Its name, if it is one of several replicas.
    pub fn replica(&self) -> Option<&str> {
        self.peers.as_ref().map(|_| self.name())
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its name, and those of its replicas, as metrics have them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let replicas = self.replicas.iter().flat_map(Replicas::names);
        std::iter::once(self.name()).chain(replicas)
    }

    /// As configured.
    pub fn settings(&self) -> &BackendSettings {
        &self.settings
    }

    /// What it offered when it was last asked; nothing before it was reached for the first time.
    pub fn offer(&self) -> Option<Arc<Offer>> {
        self.offer.load_full()
    }

    /// How it is now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The era it speaks, as far as known.
    pub fn known_era(&self) -> Option<Era> {
        *self.era.lock()
    }

    pub(super) fn learn_era(&self, era: Option<Era>) {
        *self.era.lock() = era;
    }

    /// Waits until the first attempt to reach it, or each of its replicas, is over.
    pub async fn first_attempt(&self) {
        match &self.replicas {
            Some(replicas) => replicas.first_attempts().await,
            None => self.first_attempt_alone().await,
        }
    }

    /// Waits until it was reached, or the first attempt to reach it failed: of several replicas, one or all.
    pub async fn first_result(&self) {
        self.first_attempt_alone().await;
    }

    pub(super) async fn first_attempt_alone(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| !matches!(state, State::Connecting)).await;
    }

    /// Asks for leave to send one call: a connection, a place, the breaker's permit. Nothing is sent.
    ///
    /// # Errors
    /// Down, busy or refused by the breaker; nothing was sent in any of these.
    pub async fn admit(self: &Arc<Self>, wants: &Wants) -> Result<Admission, Failure> {
        match &self.replicas {
            None if wants.only_there && !self.settings.is_of(wants.at.as_deref()) => Err(taken_out()),
            None => self.admit_alone(wants).await,
            Some(replicas) => {
                if !replicas.are_connected() {
                    self.awaited(wants).await?;
                }
                replicas.admit(wants).await
            }
        }
    }

    /// The same for one that has no replicas, or is one.
    pub(super) async fn admit_alone(self: &Arc<Self>, wants: &Wants) -> Result<Admission, Failure> {
        let shared = self.awaited(wants).await?;
        self.admit_on(shared, wants).await
    }

    async fn awaited(&self, wants: &Wants) -> Result<Arc<Connection>, Failure> {
        match wants.first_made {
            None => self.connection(wants).await,
            Some(_) => {
                let _waiting = self.lobby.enter(&wants.principal)?;
                self.next_connection().await
            }
        }
    }

    /// The same, once there is a connection.
    pub(super) async fn admit_on(
        self: &Arc<Self>,
        shared: Arc<Connection>,
        wants: &Wants,
    ) -> Result<Admission, Failure> {
        let turn = self.turn(&shared, wants).await?;
        let place = self
            .bulkhead
            .enter(&wants.principal)
            .await
            .map_err(|busy| Failure::new(FailureKind::Busy, Sent::No, busy.to_string()))?;
        let permit = self.breaker.admit(now()).map_err(Failure::refused)?;
        let lease = self.lease(shared, wants, turn).await?;
        let limits = self.tools.limits(wants.tool.as_deref());
        if wants.first_made.is_none() {
            self.budget.lock().earn(now());
        }
        Ok(Admission {
            backend: Arc::clone(self),
            lease,
            place,
            permit,
            limits,
            first_made: wants.first_made,
        })
    }

    /// Takes leave to make a call a second time.
    pub(super) fn take_retry(&self) -> bool {
        let taken = self.budget.lock().take(now());
        if taken {
            backends::retried(self.name());
        }
        taken
    }

    /// The connection; while the first attempt is under way, waits for it.
    async fn connection(&self, wants: &Wants) -> Result<Arc<Connection>, Failure> {
        let is_connecting = matches!(*self.state.borrow(), State::Connecting);
        if is_connecting {
            let _waiting = self.lobby.enter(&wants.principal)?;
            let _ = timeout(self.settings.timeouts.connect, self.first_attempt_alone()).await;
        }
        let state = self.state.borrow();
        state.connection().map_err(|failure| self.needs_a_person(&state).unwrap_or(failure))
    }

    /// The connection for a call that the last one did not carry: waits for the next one, as long as connecting
    /// may take.
    async fn next_connection(&self) -> Result<Arc<Connection>, Failure> {
        let mut state = self.state.subscribe();
        let patience = self.settings.timeouts.connect;
        let deadline = tokio::time::Instant::now() + patience;
        let settled = state.wait_for(|state| state.connection().is_ok() || state.stays_so_until(deadline));
        let _ = timeout(patience, settled).await;
        self.state.borrow().connection()
    }

    /// Takes it out of sight: from now on it tells nothing of itself. For one that gets no new calls.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        if let Some(replicas) = &self.replicas {
            replicas.retire();
        }
    }

    /// Why a call cannot be sent now.
    pub fn refusal(&self) -> Failure {
        let state = self.state();
        self.needs_a_person(&state).unwrap_or_else(|| state.refusal())
    }

    /// Whether the first attempt to reach it is under way.
    pub fn is_starting(&self) -> bool {
        matches!(self.state(), State::Connecting)
    }

    /// Why it is down, where only a person can change that.
    fn needs_a_person(&self, state: &State) -> Option<Failure> {
        let is_down = matches!(state, State::Down { .. });
        self.authorizer().filter(|_| is_down).and_then(|authorizer| authorizer.refusal())
    }

    /// The gateway's own authorization, if it may need any.
    pub fn authorizer(&self) -> Option<&Arc<Authorizer>> {
        self.grants.as_ref().map(|grants| grants.own())
    }

    /// That of a principal, where each has its own.
    pub async fn authorizer_of(&self, principal: &str) -> Option<Arc<Authorizer>> {
        let grants = self.grants().filter(|_| self.settings.has_personal_grants())?;
        Some(grants.of_principal(&Arc::from(principal)).await)
    }

    pub(super) fn grants(&self) -> Option<&Arc<Grants>> {
        self.grants.as_ref()
    }

    /// Whether a call would have to wait for its place.
    pub(super) fn is_full(&self) -> bool {
        self.bulkhead.in_flight()
            >= usize::try_from(self.settings.concurrency.in_flight).unwrap_or(usize::MAX)
    }

    /// Whether calls are in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight() > 0
    }

    /// Calls in flight, at all of its replicas.
    pub(super) fn in_flight(&self) -> usize {
        self.bulkhead.in_flight() + self.replicas.as_ref().map_or(0, Replicas::in_flight)
    }

    /// Whether a call has leave to find out whether it is well.
    #[cfg(test)]
    pub(super) fn is_probed(&self) -> bool {
        self.breaker.is_probed()
    }

    /// Whether another one has its name now, or nobody: then nothing is told of it any more.
    pub(super) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// How long ago what it offers was fetched, to the second.
    pub fn fetched_ago(&self) -> Duration {
        let fetched_at = self.fetched_at.load(Ordering::Relaxed);
        Duration::from_secs(unix_seconds(SystemTime::now()).saturating_sub(fetched_at))
    }

    pub(super) fn publish_offer(&self, offer: Offer) {
        self.fetched_at.store(unix_seconds(SystemTime::now()), Ordering::Relaxed);
        if !self.is_retired() {
            backends::catalog_fetched(self.name(), SystemTime::now());
        }
        if self.offer.load().as_deref() != Some(&offer) {
            self.offer.store(Some(Arc::new(offer)));
            (self.changed)();
        }
        self.fetches.send_modify(|fetches| *fetches += 1);
    }

    pub(super) fn publish_state(&self, state: State) {
        if let State::Down { reason, .. } = &state {
            *self.last_error.lock() = Some(reason.clone());
        }
        let label = state.label();
        self.state.send_replace(state);
        if !self.is_retired() {
            backends::state(self.name(), label);
            (self.changed)();
        }
    }

    /// A new connection says nothing good or bad of calls before it.
    pub(super) fn connected_anew(&self) {
        self.only_modern.store(false, Ordering::Relaxed);
        self.breaker_moved(self.breaker.reset());
    }

    /// It is connected to or launched again.
    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        backends::restarted(self.name());
    }
}
