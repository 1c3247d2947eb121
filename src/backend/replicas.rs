//! Several places that serve the same: which of them does a call go to?
//!
//! Each is a backend of its own, with its connection, supervisor, bulkhead, breaker and retry budget. The backend that
//! has the name connects to nothing: it chooses, and is as well as the best of them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::protocol::Era;
use crate::resilience::{BreakerState, Outliers, Verdict, jitter};
use crate::telemetry::LogLimit;

use super::kept::Key;
use super::sharing::Share;
use super::{Admission, Backend, Changed, Failure, FailureKind, Offer, Snapshot, State, Wants, now};

/// The replicas of one backend.
pub(super) struct Replicas {
    places: Vec<Arc<Backend>>,
    outliers: Arc<Mutex<Outliers>>,
    /// Held while the backend takes over what they say, so that the newest is never replaced by an older one.
    following: Mutex<()>,
}

const OUTLIER_LINES: LogLimit = LogLimit::new("a replica is left out", 4);

/// What a replica knows of the others.
pub(super) struct Peers {
    outliers: Arc<Mutex<Outliers>>,
    /// Its own place among them.
    at: usize,
}

impl Peers {
    /// Says what the end of a call said about this replica.
    pub(super) fn judged(&self, verdict: Verdict, name: &str) {
        let success = match verdict {
            Verdict::Success => true,
            Verdict::Failure | Verdict::RateLimited { .. } => false,
            Verdict::Neutral => return,
        };
        if self.outliers.lock().record(self.at, success, now()) && OUTLIER_LINES.admits(name) {
            tracing::warn!(backend = name, "does worse than its replicas; left out for a while");
        }
    }
}

impl Replicas {
    /// The replicas of `front`, if it has several; each tells it, at `there`, of every change. They have its
    /// authorization: what is granted is granted to the one server that they are.
    pub(super) fn of(front: &Backend, known: Option<Era>, there: &Weak<Backend>) -> Option<Self> {
        let settings = front.settings();
        let count = settings.replicas.len();
        let outliers = Arc::new(Mutex::new(Outliers::new(&settings.breaker, count)));
        let place = |(at, url): (usize, &Url)| {
            let there = there.clone();
            let tell: Changed = Arc::new(move || {
                if let Some(front) = there.upgrade() {
                    front.follow_replicas();
                }
            });
            let mut place = Backend::alone(settings.at(url), known, front.grants().cloned(), tell);
            place.peers = Some(Peers { outliers: Arc::clone(&outliers), at });
            Arc::new(place)
        };
        let places: Vec<_> = settings.replicas.iter().enumerate().map(place).collect();
        (count > 0).then(|| Self { places, outliers, following: Mutex::default() })
    }

    /// Leave to send one call to one of them. What is refused here was not sent, so another is asked, unless what
    /// the call goes on with is in one place only.
    pub(super) async fn admit(&self, wants: &Wants) -> Result<Admission, Failure> {
        if wants.only_there {
            let place = self.place_of(wants.at.as_deref()).ok_or_else(taken_out)?;
            return place.admit_alone(wants).await;
        }
        if let Some(place) = self.home(wants) {
            return place.admit_alone(wants).await;
        }
        let (mut soonest, mut has_waited) = (None::<Failure>, false);
        for place in self.in_order(wants) {
            // However many there are, one wait for a place is enough.
            if has_waited && place.is_full() {
                continue;
            }
            let admitted = match place.state().connection() {
                Ok(shared) => place.admit_on(shared, wants).await,
                Err(failure) => Err(failure),
            };
            let refusal = match admitted {
                Ok(admission) => return Ok(admission),
                Err(refusal) => refusal,
            };
            has_waited |= refusal.kind == FailureKind::Busy;
            let wait = |failure: &Failure| failure.retry_after.unwrap_or(Duration::MAX);
            if soonest.as_ref().is_none_or(|soonest| wait(&refusal) < wait(soonest)) {
                soonest = Some(refusal);
            }
        }
        Err(soonest.unwrap_or_else(|| Failure::unavailable("no replica is connected")))
    }

    /// Where something is that was begun at `name`; before there were several places, it was the first.
    fn place_of(&self, name: Option<&str>) -> Option<&Arc<Backend>> {
        name.map_or_else(|| self.places.first(), |name| self.place(name))
    }

    /// First the one that gave what the call goes on with, then the one with fewer calls of two taken at random, then
    /// all others; one that stands out for failing, and the one where this call has just failed, come last.
    fn in_order(&self, wants: &Wants) -> Vec<&Arc<Backend>> {
        let outliers = self.outliers.lock();
        let is_second_choice = |at: usize, place: &Backend| {
            outliers.is_ejected(at, now()) || wants.not_at.as_deref() == Some(place.name())
        };
        let ready = self.places.iter().enumerate().filter(|(_, place)| place.state().connection().is_ok());
        // Among equals chance decides, not the order of the configuration.
        let rank =
            |at, place: &Backend| (is_second_choice(at, place), place.in_flight(), (jitter() * 1e6) as u64);
        let mut order: Vec<_> = ready.map(|(at, place)| (rank(at, place), place)).collect();
        order.sort_by_key(|(rank, _)| *rank);
        let first_choices = order.iter().filter(|((is_second, ..), _)| !is_second).count();
        let first = fewer_of_two(first_choices, jitter(), jitter());
        let mut order: Vec<_> = order.into_iter().map(|(_, place)| place).collect();
        if let Some(first) = first {
            order[..=first].rotate_right(1);
        }
        if let Some(own) = order.iter().position(|place| wants.at.as_deref() == Some(place.name())) {
            order[..=own].rotate_right(1);
        }
        order
    }

    /// Where a caller with a connection of its own keeps it: where it is open, or the same place as long as that is
    /// connected.
    fn home(&self, wants: &Wants) -> Option<&Arc<Backend>> {
        let digest = |place: &Backend, key: &Key| {
            let mut hasher = DefaultHasher::new();
            (place.name(), key).hash(&mut hasher);
            hasher.finish()
        };
        let candidates = self.places.iter().filter_map(|place| {
            let shared = place.state().connection().ok()?;
            match place.share(&shared, wants) {
                Share::Kept(key) => Some(((place.kept.holds(&key), digest(place, &key)), place)),
                Share::Everybody | Share::OneCall(_) => None,
            }
        });
        candidates.max_by_key(|(rank, _)| *rank).map(|(_, place)| place)
    }

    /// The replica of this name.
    pub(super) fn place(&self, name: &str) -> Option<&Arc<Backend>> {
        self.places.iter().find(|place| place.name() == name)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Backend> {
        self.places.iter().map(|place| &**place)
    }

    /// Whether there is one to choose.
    pub(super) fn are_connected(&self) -> bool {
        self.places.iter().any(|place| place.state().connection().is_ok())
    }

    /// The best circuit of those that are connected, or of all if none is.
    pub(super) fn best_circuit(&self) -> Option<BreakerState> {
        let connected = self.places.iter().filter(|place| place.state().connection().is_ok());
        let best = connected.map(|place| place.circuit()).min();
        best.or_else(|| self.places.iter().map(|place| place.circuit()).min())
    }

    /// The best of their states.
    pub(super) fn state(&self) -> State {
        let states = self.places.iter().map(|place| place.state());
        states.min_by_key(State::distance).unwrap_or_default()
    }

    /// What the first that is connected offers; they are expected to offer the same.
    pub(super) fn offer(&self) -> Option<Arc<Offer>> {
        let ready = self.places.iter().filter(|place| place.state().connection().is_ok());
        ready.filter_map(|place| place.offer()).next()
    }

    /// Keeps all of them connected.
    pub(super) async fn supervise(
        &self,
        starts: &Arc<Semaphore>,
        refresh: Duration,
        stop: &CancellationToken,
    ) {
        let supervised = TaskTracker::new();
        for place in &self.places {
            supervised.spawn(Arc::clone(place).supervise_alone(Arc::clone(starts), refresh, stop.clone()));
        }
        supervised.close();
        supervised.wait().await;
    }

    pub(super) async fn first_attempts(&self) {
        for place in &self.places {
            place.first_attempt_alone().await;
        }
    }

    pub(super) fn retire(&self) {
        self.places.iter().for_each(|place| place.retire());
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.name())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.places.iter().map(|place| place.in_flight()).sum()
    }

    /// What operators see of each, and whether it is left out now.
    pub(super) fn snapshots(&self) -> Vec<Snapshot> {
        let outliers = self.outliers.lock();
        let snapshot = |(at, place): (usize, &Arc<Backend>)| Snapshot {
            is_ejected: outliers.is_ejected(at, now()),
            ..place.snapshot()
        };
        self.places.iter().enumerate().map(snapshot).collect()
    }
}

impl Backend {
    /// Takes over what its replicas say of themselves.
    fn follow_replicas(&self) {
        let Some(replicas) = self.replicas() else { return };
        let _in_turn = replicas.following.lock();
        if let Some(offer) = replicas.offer().filter(|offer| self.offer().as_ref() != Some(offer)) {
            self.publish_offer(Offer::clone(&offer));
        }
        let state = replicas.state();
        if let Ok(connection) = state.connection() {
            self.learn_era(Some(connection.revision().era()));
        }
        self.publish_state(state);
    }
}

impl Backend {
    /// Whoever serves what `name` of its replicas does; the backend itself if it has none.
    pub fn place(self: &Arc<Self>, name: Option<&str>) -> Option<Arc<Self>> {
        match (self.replicas(), name) {
            (None, _) => Some(Arc::clone(self)),
            (Some(replicas), Some(name)) => replicas.place(name).cloned(),
            (Some(_), None) => None,
        }
    }

    /// All that serve it: its replicas, or itself.
    pub fn places(self: &Arc<Self>) -> Vec<Arc<Self>> {
        self.replicas().map_or_else(|| vec![Arc::clone(self)], |replicas| replicas.places.clone())
    }
}

/// What only one place knows of is asked of no other: it may call something else by the same name.
pub(super) fn taken_out() -> Failure {
    Failure::unavailable("the replica that has it was taken out of the configuration")
}

/// Of two of the first `count`, which are sorted by their calls in flight, the one that has fewer.
fn fewer_of_two(count: usize, one: f64, other: f64) -> Option<usize> {
    let draw = |count: usize, share: f64| ((count as f64 * share) as usize).min(count.saturating_sub(1));
    match count {
        0 => None,
        1 => Some(0),
        _ => {
            let one = draw(count, one);
            // Never the same again.
            let other = (one + 1 + draw(count - 1, other)) % count;
            Some(one.min(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_different_ones_the_one_with_fewer_calls_is_chosen() {
        assert_eq!(fewer_of_two(0, 0.5, 0.5), None);
        assert_eq!(fewer_of_two(1, 0.9, 0.9), Some(0));
        for one in [0.0, 0.4, 0.7, 0.99] {
            for other in [0.0, 0.4, 0.99] {
                let chosen = fewer_of_two(3, one, other);
                assert!(chosen.is_some_and(|at| at < 2), "the busiest of three is never the better of two");
            }
        }
    }
}
