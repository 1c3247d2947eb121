//! How the two eras meet when a backend asks something in the middle of a call.
//!
//! | client ↓ backend → | modern: answers `input_required` | legacy: sends a request |
//! |---|---|---|
//! | modern | relayed; `requestState` sealed | the call is parked, the client answered `input_required` |
//! | legacy | the client is asked, the call made again with its answers | the client is asked, the backend answered |

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::backend::{CallEvent, Failure, FailureKind, Sent};
use crate::protocol::{Id, Object, RawJson, RpcError, method};

use super::convert;
use super::driver::{Calling, Driver, Stage};
use super::exchange::Event;
use super::parking::{Asked, PATIENCE, Parked};
use super::question::{OPEN, Origin, Reaction, for_legacy, for_modern, not_declared, not_readable, too_many};
use super::seal::{Sealed, digest_of, expiry};
use super::target::Target;
use super::visit;

/// Questions that come together are shown together.
const COALESCE: Duration = Duration::from_millis(10);
/// How long a relayed state stays valid.
pub(super) const STATE: Duration = Duration::from_secs(3600);

/// What `requestState` holds while a client has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// A call stands in the parking.
    Parked(u64),
    /// A modern backend's own state, and the replica that gave it.
    Relayed { state: String, replica: Option<String> },
    /// A legacy backend has forgotten the call: it is made again once the client has visited its pages.
    Again,
}

impl Driver {
    /// A legacy backend asks, or a modern one in a task that is followed for a legacy client.
    pub(super) async fn question(
        &mut self,
        mut calling: Box<Calling>,
        id: Id,
        method: String,
        params: Option<RawJson>,
    ) -> Option<Event> {
        if !self.capabilities().allow(&method, params.as_ref()) {
            calling.call.respond(&id, &Err(not_declared(&method)));
            self.stage = Stage::Calling(calling);
            return None;
        }
        if self.is_modern() {
            return self.park(calling, Asked { id, method, params }).await;
        }
        calling.call.step_aside();
        let Some(params) = convert::readable_question(&method, self.inbound.caller.revision, params) else {
            calling.call.respond(&id, &Err(not_readable()));
            self.stage = Stage::Calling(calling);
            return None;
        };
        let answerer = self.questions.open(Origin::Wire(id.clone()));
        self.expect_page(&calling.target.route.backend, &method, params.as_ref());
        if answerer.is_none() {
            calling.call.respond(&id, &Err(too_many()));
        }
        let params = match calling.target.is_followed {
            true => {
                let key = id.raw().string().unwrap_or_default();
                for_legacy(&method, params, &format!("{}-{key}", self.inbound.caller.request_id))
            }
            false => params,
        };
        self.stage = Stage::Calling(calling);
        answerer.map(|answerer| Event::Question { method, params, answerer })
    }

    /// Gives what a legacy client says to its questions to the backend.
    pub(super) fn deliver(&mut self, mut calling: Box<Calling>, reaction: &Reaction) {
        match reaction {
            Reaction::Answer(Origin::Wire(id), outcome) => calling.call.respond(id, outcome),
            Reaction::Answer(Origin::Input { .. }, _) => {}
            Reaction::Progress(params) => calling.call.tell(method::PROGRESS, params),
        }
        self.stage = Stage::Calling(calling);
    }

    /// A legacy backend gives up a question that its client has not answered.
    pub(super) fn withdrawn(&mut self, params: Option<&RawJson>) -> Option<Event> {
        let question = self.questions.withdraw(&cancelled(params)?)?;
        let reason = params?.get("reason").filter(|reason| reason.string().is_some());
        Some(Event::Withdrawn { question, reason })
    }

    /// Parks a call whose backend asks, and tells the modern client what is asked.
    async fn park(&mut self, mut calling: Box<Calling>, first: Asked) -> Option<Event> {
        calling.call.step_aside();
        let (mut asked, mut number) = (HashMap::from([("q1".to_owned(), first)]), 1);
        let end = Instant::now() + COALESCE;
        // A backend that never stops talking is not listened to for longer either.
        while Instant::now() < end
            && let Ok(event) = timeout_at(end, calling.call.next()).await
        {
            match event {
                CallEvent::Question { id, .. } if asked.len() >= OPEN => {
                    calling.call.respond(&id, &Err(too_many()))
                }
                CallEvent::Question { id, method, params }
                    if self.capabilities().allow(&method, params.as_ref()) =>
                {
                    number += 1;
                    asked.insert(format!("q{number}"), Asked { id, method, params });
                }
                CallEvent::Question { id, method, .. } => {
                    calling.call.respond(&id, &Err(not_declared(&method)))
                }
                CallEvent::Notification { method, params } if method == method::CANCELLED => {
                    if let Some(id) = cancelled(params.as_ref()) {
                        asked.retain(|_, asked| !asked.id.means(&id));
                    }
                }
                CallEvent::Notification { .. } | CallEvent::Task(_) => {}
                over => {
                    self.stage = Stage::Over;
                    return self.ended(*calling, over);
                }
            }
        }
        if asked.is_empty() {
            self.stage = Stage::Calling(calling);
            return None;
        }
        Some(self.park_asked(calling, asked))
    }

    fn ended(&mut self, calling: Calling, event: CallEvent) -> Option<Event> {
        match event {
            CallEvent::Answer(outcome) => self.answered(calling, outcome),
            CallEvent::Failed(failure) => Some(self.fail(self.failure(&failure, &calling.target))),
            CallEvent::Notification { .. } | CallEvent::Question { .. } | CallEvent::Task(_) => None,
        }
    }

    fn park_asked(&mut self, calling: Box<Calling>, asked: HashMap<String, Asked>) -> Event {
        let request = self.digest(&calling.target);
        let requests = shown(&asked);
        let principal = self.inbound.caller.principal.clone();
        let account =
            std::mem::replace(&mut self.account, super::account::Account::new(self.inbound.caller.clone()));
        let parked = Parked { calling, account, principal, asked };
        let number = match self.router.parking().park(parked) {
            Ok(number) => number,
            Err(refused) => {
                self.account = refused.account;
                let failure = Failure::new(
                    FailureKind::Busy,
                    Sent::Maybe,
                    "the system has no random number for a call that waits",
                );
                let failure = self.failure(&failure, &refused.calling.target);
                return self.fail(failure);
            }
        };
        let state = self.seal(request, State::Parked(number), PATIENCE);
        Event::Answer(state.map(|state| input_required(requests, Some(&state))))
    }

    /// A modern client comes back: finds its parked call, or puts the backend's own state back.
    pub(super) fn resume(&mut self, target: &mut Target) -> Result<Option<Box<Parked>>, RpcError> {
        let Some(state) = target.params.get("requestState").filter(|_| self.is_modern()) else {
            return Ok(None);
        };
        let invalid = || {
            RpcError::invalid_params(
                "`requestState` is not one of ours, is not for this request, or is too old",
            )
        };
        let text = state.string().ok_or_else(invalid)?;
        let sealed: Sealed<State> = self.router.sealer().open(&text).ok_or_else(invalid)?;
        if sealed.principal != self.inbound.caller.principal.name() || sealed.request != self.digest(target) {
            return Err(invalid());
        }
        match sealed.content {
            State::Relayed { state, replica } => {
                target.params.set("requestState", RawJson::of(&state));
                target.replica = replica;
                Ok(None)
            }
            State::Again => visit::over(&mut target.params).map(|()| None),
            State::Parked(number) => {
                let parked = self.router.parking().take(number, &self.inbound.caller.principal);
                let late =
                    || RpcError::invalid_params("the call that waited for this input is gone; call again");
                parked.map(|parked| Some(Box::new(parked))).ok_or_else(late)
            }
        }
    }

    /// Answers the questions of a parked call and goes on with it.
    pub(super) fn answer_parked(&mut self, parked: Parked) -> Option<Event> {
        let Parked { mut calling, account, mut asked, .. } = parked;
        self.account = account;
        let responses = self.inbound.params.as_ref().and_then(|params| params.get("inputResponses"));
        asked.retain(|key, question| {
            let Some(response) = responses.as_ref().and_then(|responses| responses.get(key)) else {
                return true;
            };
            calling.call.respond(&question.id, &Ok(response));
            false
        });
        if !asked.is_empty() && !calling.call.is_late() {
            return Some(self.park_asked(calling, asked));
        }
        self.stage = Stage::Calling(calling);
        None
    }

    /// Seals a modern backend's state; one that gave none gets none back.
    pub(super) fn relay_state(&self, target: &Target, result: &RawJson) -> Result<RawJson, RawJson> {
        let state = result.get("requestState").and_then(|state| state.string().map(String::from));
        let (Some(state), Some(mut object)) = (state, Object::parse(result)) else {
            return Ok(result.clone());
        };
        let sealed =
            self.seal(self.digest(target), State::Relayed { state, replica: target.replica.clone() }, STATE)?;
        object.set("requestState", RawJson::of(&sealed));
        Ok(object.to_json())
    }

    pub(super) fn digest(&self, target: &Target) -> String {
        // Arguments that no typed reader takes (1e400, half a surrogate pair) count as they are spelt.
        let read = |text: &RawJson| text.to().unwrap_or_else(|| Value::from(text.as_str()));
        let arguments = target.params.get("arguments").map(read);
        // One backend's state is none of another's that has its name by now.
        let owner = format!("{} {}", target.route.backend, target.route.qualified);
        digest_of(self.inbound.routed.method(), &owner, arguments)
    }

    pub(super) fn seal(&self, request: String, content: State, valid: Duration) -> Result<String, RawJson> {
        let principal = self.inbound.caller.principal.name().to_owned();
        let sealed = Sealed { principal, request, expires: expiry(valid), content };
        self.router
            .sealer()
            .seal(&sealed)
            .ok_or_else(|| RpcError::internal("failed to seal the request's state").to_json())
    }
}

/// The request that a `notifications/cancelled` names.
fn cancelled(params: Option<&RawJson>) -> Option<Id> {
    Id::new(params?.get("requestId")?)
}

/// The questions as `inputRequests` holds them, their bytes untouched.
fn shown(asked: &HashMap<String, Asked>) -> Object {
    let mut entries: Vec<_> = asked.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    let mut shown = Object::new();
    for (key, question) in entries {
        shown.set(key, for_modern(&question.method, question.params.as_ref()));
    }
    shown
}

pub(super) fn input_required(requests: Object, state: Option<&str>) -> RawJson {
    let mut result = Object::new();
    result.set("resultType", RawJson::of("input_required"));
    result.set("inputRequests", requests.to_json());
    if let Some(state) = state {
        result.set("requestState", RawJson::of(state));
    }
    result.to_json()
}
