//! How is a legacy client asked what a modern backend wants to know?
//!
//! The backend has answered `input_required` and waits for nothing: each thing it asks is a request to the client, and
//! once all are answered the call is made again.

use std::collections::{HashMap, VecDeque};

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::backend::{Failure, FailureKind, Sent};
use crate::protocol::{Object, RawJson};
use crate::telemetry::Outcome;

use super::convert;
use super::driver::{Driver, Stage};
use super::exchange::Event;
use super::failure::CallFailure;
use super::parking::PATIENCE;
use super::question::{Origin, as_input, for_legacy, is_page};
use super::target::Target;
use super::visit;

/// How often a backend may ask for input before its call is given up.
const ROUNDS: u32 = 10;

/// A modern backend's wish for input, while a legacy client is asked for it.
pub(super) struct Asking {
    target: Target,
    rounds: u32,
    state: Option<RawJson>,
    /// Still to be asked.
    waiting: VecDeque<(String, String, Option<RawJson>)>,
    responses: Object,
    /// The pages that the client was sent to: the key of the question → the id it was given.
    pages: HashMap<String, String>,
    deadline: Instant,
}

impl Driver {
    /// A modern backend wants input.
    pub(super) fn input_required(&mut self, target: Target, result: RawJson, rounds: u32) -> Option<Event> {
        if self.is_modern() {
            self.account.end(Outcome::Ok);
            return Some(Event::Answer(self.relay_state(&target, &result)));
        }
        if rounds >= ROUNDS {
            let message = format!("the backend asked for input more than {ROUNDS} times");
            return Some(self.fail(self.failure(&Failure::malformed(message), &target)));
        }
        let requests =
            result.get("inputRequests").and_then(|requests| Object::parse(&requests)).unwrap_or_default();
        let waiting = requests.keys().filter_map(|key| {
            let request = requests.get(&key)?;
            let method = request.get("method")?.string()?.into_owned();
            Some((key.into_owned(), method, request.get("params")))
        });
        let total =
            self.router.backend(&target.route.backend).map(|backend| backend.settings().timeouts.total);
        self.stage = Stage::Asking(Box::new(Asking {
            waiting: waiting.collect(),
            state: result.get("requestState"),
            responses: Object::new(),
            pages: HashMap::new(),
            deadline: Instant::now() + total.unwrap_or(PATIENCE),
            target,
            rounds,
        }));
        None
    }

    /// Asks the legacy client what is left to ask, then waits for its answers, then calls again.
    pub(super) async fn ask(&mut self, mut asking: Box<Asking>) -> Option<Event> {
        if let Some((key, method, params)) = asking.waiting.pop_front() {
            return self.ask_one(asking, key, method, params);
        }
        if self.questions.is_empty() {
            return self.call_again(*asking).await;
        }
        let Ok((origin, outcome)) = timeout_at(asking.deadline, self.questions.answer()).await else {
            let failure =
                Failure::new(FailureKind::Timeout, Sent::Maybe, "the client did not answer in time");
            return Some(self.fail(self.failure(&failure, &asking.target)));
        };
        if let Origin::Input { key, method } = origin {
            match as_input(&method, outcome) {
                Some(response) => {
                    // Declined, it was not visited.
                    self.visited.extend(asking.pages.remove(&key).filter(|_| visit::is_accepted(&response)));
                    asking.responses.set(&key, response)
                }
                None => return Some(self.fail(self.refused_input(&method, &asking.target))),
            };
        }
        self.stage = Stage::Asking(asking);
        None
    }

    fn ask_one(
        &mut self,
        mut asking: Box<Asking>,
        key: String,
        method: String,
        params: Option<RawJson>,
    ) -> Option<Event> {
        let revision = self.inbound.caller.revision;
        let is_declared = self.capabilities().allow(&method, params.as_ref());
        let Some(params) = convert::readable_question(&method, revision, params) else {
            asking.responses.set(&key, RawJson::of(&json!({ "action": "cancel" })));
            self.stage = Stage::Asking(asking);
            return None;
        };
        let origin = Origin::Input { key: key.clone(), method: method.clone() };
        let answerer = if is_declared { self.questions.open(origin) } else { None };
        let Some(answerer) = answerer else {
            return Some(self.fail(self.refused_input(&method, &asking.target)));
        };
        let id = format!("{}-{}-{key}", self.inbound.caller.request_id, asking.rounds);
        let is_page = is_page(&method, params.as_ref());
        let params = for_legacy(&method, params, &id);
        if is_page {
            asking.pages.insert(key, id);
        }
        self.stage = Stage::Asking(asking);
        Some(Event::Question { method, params, answerer })
    }

    fn refused_input(&self, method: &str, target: &Target) -> CallFailure {
        let message = format!("the tool needs `{method}`, which the client does not offer or refused");
        CallFailure::of_backend(
            &Failure::malformed(message),
            &self.inbound,
            &target.route.qualified,
            &target.route.backend,
        )
    }

    async fn call_again(&mut self, asking: Asking) -> Option<Event> {
        let Asking { mut target, rounds, state, responses, .. } = asking;
        target.params.set("inputResponses", responses.to_json());
        match state {
            Some(state) => target.params.set("requestState", state),
            None => {
                target.params.remove("requestState");
                &mut target.params
            }
        };
        self.call(target, rounds + 1).await
    }
}
