//! Where does a task of 2025-11-25 live for a client that follows it by the extension? Here: the gateway goes on with
//! the call, and answers what the client asks from what it knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalog::Route;
use crate::protocol::{Id, Object, RawJson};

use super::super::parking::Asked;
use super::super::question::{OPEN, for_modern};
use super::super::request::Principal;
use super::standing::{Phase, detailed};
use super::updates::Mailbox;

/// Longest time a task is kept, from its beginning.
pub(super) const KEPT: Duration = Duration::from_secs(3600);

/// A client's letters, and the id it knows the task by.
type Listener = (Weak<Mailbox>, Arc<str>);

/// One task, shared by the call that goes on and whoever asks about it.
pub(super) struct HeldTask {
    pub(super) principal: Principal,
    /// Of the tool.
    pub(super) route: Route,
    ttl: Duration,
    pub(super) expires: Instant,
    state: Mutex<State>,
    /// Clients that want to hear of changes.
    listeners: Mutex<Vec<Listener>>,
    /// There are answers to deliver.
    pub(super) answered: Notify,
    /// The client took it back.
    pub(super) cancelled: CancellationToken,
}

struct State {
    /// By the backend.
    told: RawJson,
    updated: SystemTime,
    /// Keys stay unique for the task's life.
    questions: u64,
    open: BTreeMap<u64, Asked>,
    answers: Vec<(Id, RawJson)>,
    outcome: Option<Result<RawJson, RawJson>>,
}

impl HeldTask {
    pub(super) fn new(principal: Principal, route: Route, told: RawJson) -> Arc<Self> {
        let granted = told.get("ttl").and_then(|ttl| ttl.to::<f64>()).map(|ttl| ttl.max(0.0) / 1000.0);
        let granted = granted.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let ttl = granted.unwrap_or(KEPT).min(KEPT);
        Arc::new(Self {
            principal,
            route,
            ttl,
            expires: Instant::now() + ttl,
            state: Mutex::new(State {
                told,
                updated: SystemTime::now(),
                questions: 0,
                open: BTreeMap::new(),
                answers: Vec::new(),
                outcome: None,
            }),
            listeners: Mutex::default(),
            answered: Notify::new(),
            cancelled: CancellationToken::new(),
        })
    }

    /// Changes what is known, which is over once there is an outcome.
    fn change(&self, change: impl FnOnce(&mut State)) {
        {
            let mut state = self.state.lock();
            if state.outcome.is_some() || self.cancelled.is_cancelled() {
                return;
            }
            change(&mut state);
            state.updated = SystemTime::now();
        }
        self.listeners.lock().retain(|(mailbox, shown)| {
            let mailbox = mailbox.upgrade();
            mailbox.inspect(|mailbox| mailbox.put(shown, self.shown(shown).to_json())).is_some()
        });
    }

    /// Tells `mailbox` how it stands, and of every change for as long as there is a mailbox.
    pub(super) fn tell(&self, mailbox: &Arc<Mailbox>, shown: Arc<str>) {
        mailbox.put(&shown, self.shown(&shown).to_json());
        let mut listeners = self.listeners.lock();
        listeners.retain(|(mailbox, _)| mailbox.strong_count() > 0);
        listeners.push((Arc::downgrade(mailbox), shown));
    }

    /// The backend says how it stands.
    pub(super) fn told(&self, told: RawJson) {
        self.change(|state| state.told = told);
    }

    /// Whether the backend may ask one thing more.
    pub(super) fn may_be_asked(&self) -> bool {
        self.state.lock().open.len() < OPEN
    }

    /// The backend asks something.
    pub(super) fn asked(&self, asked: Asked) {
        self.change(|state| {
            state.questions += 1;
            state.open.insert(state.questions, asked);
        });
    }

    /// The call was answered.
    pub(super) fn over(&self, outcome: Result<RawJson, RawJson>) {
        // What is kept for an hour is counted here, not among the messages on their way.
        let own = |kept: RawJson| RawJson::authored(Bytes::copy_from_slice(kept.as_bytes()));
        self.change(|state| {
            state.open.clear();
            state.outcome = Some(outcome.map(own).map_err(own));
        });
    }

    /// Whether it was kept for long enough.
    pub(super) fn is_expired(&self) -> bool {
        Instant::now() >= self.expires
    }

    /// Since when it is over, if it is.
    pub(super) fn over_since(&self) -> Option<SystemTime> {
        let state = self.state.lock();
        (state.outcome.is_some() || self.cancelled.is_cancelled()).then_some(state.updated)
    }

    /// How long its result is, in bytes.
    pub(super) fn size(&self) -> usize {
        let state = self.state.lock();
        state.outcome.as_ref().map_or(0, |outcome| outcome.as_ref().unwrap_or_else(|error| error).len())
    }

    /// The client answers questions; keys that name none mean nothing.
    pub(super) fn answer(&self, responses: &Object) {
        self.change(|state| {
            let State { open, answers, .. } = state;
            open.retain(|number, asked| {
                let response = responses.get(&key(*number));
                answers.extend(response.map(|response| (asked.id.clone(), response.clone())));
                response.is_none()
            });
        });
        self.answered.notify_one();
    }

    /// The answers that were not delivered yet.
    pub(super) fn take_answers(&self) -> Vec<(Id, RawJson)> {
        std::mem::take(&mut self.state.lock().answers)
    }

    /// The client takes it back; nothing, if it is over.
    pub(super) fn cancel(&self) {
        self.change(|_| self.cancelled.cancel());
    }

    /// How it stands, for its client.
    pub(super) fn shown(&self, id: &str) -> Object {
        let state = self.state.lock();
        let phase = match &state.outcome {
            Some(outcome) => Phase::Over(outcome),
            None if self.cancelled.is_cancelled() => Phase::Cancelled,
            None if state.open.is_empty() => Phase::Working,
            None => Phase::Asking(questions(&state.open)),
        };
        let updated = humantime::format_rfc3339_millis(state.updated).to_string();
        detailed(&state.told, id, self.ttl, &updated, phase)
    }
}

fn key(number: u64) -> String {
    format!("q{number}")
}

fn questions(open: &BTreeMap<u64, Asked>) -> Object {
    let mut questions = Object::new();
    for (number, asked) in open {
        questions.set(&key(*number), for_modern(&asked.method, asked.params.as_ref()));
    }
    questions
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(in super::super) fn task(principal: &str) -> Arc<HeldTask> {
        let route = Route { backend: "b".into(), local: "t".into(), qualified: "b__t".into() };
        let told = RawJson::of(&json!({"taskId": "t1", "status": "working", "ttl": 60_000}));
        HeldTask::new(Principal::named(principal), route, told)
    }

    fn question(id: u64) -> Asked {
        Asked { id: Id::number(id), method: "elicitation/create".to_owned(), params: None }
    }

    fn shown(task: &HeldTask) -> Value {
        task.shown("sealed").to_json().to().unwrap()
    }

    #[tokio::test]
    async fn questions_are_answered_one_by_one_and_their_keys_never_come_again() {
        let task = task("ann");
        task.asked(question(7));
        task.asked(question(8));
        let mut responses = Object::new();
        responses.set("q2", RawJson::of("yes")).set("other", RawJson::of("?"));
        task.answer(&responses);
        assert_eq!(shown(&task)["status"], "input_required");
        assert_eq!(shown(&task)["inputRequests"].as_object().unwrap().len(), 1);
        assert_eq!(task.take_answers(), [(Id::number(8), RawJson::of("yes"))]);
        task.asked(question(9));
        assert!(shown(&task)["inputRequests"]["q3"].is_object());
    }

    #[tokio::test]
    async fn what_is_over_stays_as_it_is() {
        let (done, taken_back) = (task("ann"), task("ann"));
        done.over(Ok(RawJson::empty_object()));
        taken_back.cancel();
        for (task, status) in [(done, "completed"), (taken_back, "cancelled")] {
            task.cancel();
            task.asked(question(1));
            task.over(Err(RawJson::empty_object()));
            assert_eq!(shown(&task)["status"], status);
        }
    }

    #[tokio::test]
    async fn who_listens_no_more_takes_no_room() {
        let task = task("ann");
        for _ in 0..100 {
            task.tell(&Arc::default(), "sealed".into());
        }
        assert_eq!(task.listeners.lock().len(), 1);
    }
}
