//! Takes one exchange from request to answer, step by step.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::backend::{Admission, Beside, Call, CallEvent, Failure, Wants};
use crate::protocol::{ClientCapabilities, Era, Routed, RpcError, method};
use crate::telemetry::Outcome;

use super::account::Account;
use super::asking::Asking;
use super::exchange::Event;
use super::failure::CallFailure;
use super::hop;
use super::question::Questions;
use super::request::Inbound;
use super::router::Router;
use super::session::SessionId;
use super::target::{Target, resolve};
use super::tasks;

/// Where the exchange stands.
pub(super) enum Stage {
    New,
    Calling(Box<Calling>),
    /// A modern backend wants input, and a legacy client is being asked for it.
    Asking(Box<Asking>),
    Over,
}

/// A call at a backend.
pub(super) struct Calling {
    pub call: Call,
    pub target: Target,
    /// How often the backend has asked for input before this call.
    pub rounds: u32,
    /// Whether the client has heard anything of it.
    pub heard: bool,
    /// How the call failed that this one repeats.
    pub first: Option<Failure>,
}

pub(super) struct Driver {
    pub(super) router: Arc<Router>,
    pub(super) inbound: Inbound,
    pub(super) stage: Stage,
    pub(super) account: Account,
    /// What a legacy client was asked and has not answered.
    pub(super) questions: Questions,
    /// The pages that a legacy client visited for a modern backend, by the ids it was given.
    pub(super) visited: Vec<String>,
    /// What the client hears before anything else happens.
    pub(super) due: VecDeque<Event>,
    /// The era in which the backend was last asked.
    pub(super) asked_in: Era,
}

impl Driver {
    pub(super) fn new(router: Arc<Router>, inbound: Inbound) -> Self {
        let account = Account::new(inbound.caller.clone());
        Self {
            router,
            inbound,
            stage: Stage::New,
            account,
            questions: Questions::default(),
            visited: Vec::new(),
            due: VecDeque::new(),
            asked_in: Era::Legacy,
        }
    }

    /// In a box, so that handing it from step to step moves a pointer.
    pub(super) async fn step(mut self: Box<Self>) -> (Box<Self>, Event) {
        loop {
            if let Some(event) = self.due.pop_front() {
                return (self, event);
            }
            let event = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::New => self.open().await,
                Stage::Calling(calling) => self.proceed(calling).await,
                // In a box, like all that most calls never come to: they need no room for it.
                Stage::Asking(asking) => Box::pin(self.ask(asking)).await,
                // Unreachable by construction: an exchange ends with its answer.
                Stage::Over => Some(Event::Answer(Err(RpcError::internal("the exchange is over").to_json()))),
            };
            self.due.extend(event);
        }
    }

    /// Finds the owner and asks for leave to send.
    async fn open(&mut self) -> Option<Event> {
        if self.inbound.routed.is_about_a_task() {
            return Box::pin(self.open_task()).await;
        }
        let catalog = self.router.catalog();
        let mut target = match resolve(&self.router, &catalog, &self.inbound) {
            Ok(target) => target,
            // In a box: few requests come to it.
            Err(error) => match Box::pin(self.unresolved(error, catalog.generation())).await {
                Ok(target) => target,
                Err(event) => return Some(event),
            },
        };
        if let Err(error) = self.open_cursor(&mut target) {
            return Some(self.refuse(error));
        }
        match self.resume(&mut target) {
            Ok(None) => {}
            Ok(Some(resumed)) => return self.answer_parked(*resumed),
            Err(error) => return Some(self.refuse(error)),
        }
        self.account.begin(&self.router, &target, self.inbound.routed);
        let is_checked = target.tool.as_ref().is_some_and(|tool| tool.validate);
        if is_checked && let Err(failure) = Box::pin(self.check_arguments(&target)).await {
            return Some(self.fail(*failure));
        }
        self.call(target, 0).await
    }

    /// Makes a call of the target.
    pub(super) async fn call(&mut self, target: Target, rounds: u32) -> Option<Event> {
        match self.admit(&target, None, None).await {
            Ok(admission) => self.begin(admission, target, rounds, None),
            Err(failure) => Some(self.fail(self.failure(&failure, &target))),
        }
    }

    pub(super) async fn admit(
        &self,
        target: &Target,
        first_made: Option<Instant>,
        not_at: Option<String>,
    ) -> Result<Admission, Failure> {
        let caller = &self.inbound.caller;
        let wants = Wants {
            era: caller.revision.era(),
            capabilities: self.capabilities(),
            tells_of_roots: ClientCapabilities::tells_of_roots(&caller.capabilities),
            principal: caller.principal.shared_name(),
            session: caller.session.map(SessionId::number),
            log_level: caller.asked_level,
            tool: target.tool.as_ref().map(|_| Arc::clone(&target.route.local)),
            first_made,
            at: target.replica.clone(),
            only_there: self.inbound.routed.is_about_a_task(),
            not_at,
        };
        self.router.admit(&target.route.backend, &wants).await
    }

    pub(super) fn begin(
        &mut self,
        admission: Admission,
        target: Target,
        rounds: u32,
        first: Option<Failure>,
    ) -> Option<Event> {
        let id = admission.draw_id();
        self.asked_in = admission.revision().era();
        let params = hop::outward(&target, &self.inbound, admission.revision(), id);
        let param_headers = target.tool.as_ref().map(|tool| Arc::clone(&tool.param_headers));
        let trace = self.inbound.caller.trace.clone();
        let vendor_method = self.inbound.vendor_method.clone();
        let beside = Beside { param_headers: param_headers.unwrap_or_default(), trace, vendor_method };
        let method = self.inbound.routed.method();
        let as_task = tasks::is_wanted(&target, &self.inbound) && admission.takes_tasks();
        let begin = match target.is_followed {
            true => Admission::call_to_the_end,
            false if as_task => Admission::call_as_task,
            false => Admission::call,
        };
        let call = begin(admission, id, method, params, beside);
        self.stage = Stage::Calling(Box::new(Calling { call, target, rounds, heard: false, first }));
        None
    }

    /// What this client can be asked in the middle of this request.
    pub(super) fn capabilities(&self) -> ClientCapabilities {
        match self.inbound.routed {
            Routed::CallTool | Routed::GetPrompt | Routed::ReadResource => {
                let caller = &self.inbound.caller;
                ClientCapabilities::read(&caller.capabilities, caller.revision)
            }
            // No other request may be answered with a question (MCP 2026-07-28, basic/patterns/mrtr).
            _ => ClientCapabilities::default(),
        }
    }

    /// Takes the next thing that happens: an event of the call, or a client's answer to its question.
    async fn proceed(&mut self, mut calling: Box<Calling>) -> Option<Event> {
        let event = if self.questions.is_empty() {
            calling.call.next().await
        } else {
            tokio::select! {
                biased;
                reaction = self.questions.next() => {
                    self.deliver(calling, &reaction);
                    return None;
                }
                event = calling.call.next() => event,
            }
        };
        match event {
            CallEvent::Notification { method, params } => {
                let event = match &*method {
                    method::ELICITATION_COMPLETE => self.page_visited(&calling.target.route.backend, params),
                    method::CANCELLED => self.withdrawn(params.as_ref()),
                    _ => hop::notification(&method, params, &self.inbound.caller),
                };
                calling.heard |= event.is_some();
                self.stage = Stage::Calling(calling);
                event
            }
            CallEvent::Question { id, method, params } => {
                calling.heard = true;
                Box::pin(self.question(calling, id, method, params)).await
            }
            CallEvent::Task(told) => {
                // From now on it is known to run.
                calling.heard = true;
                self.task_stands(calling, told)
            }
            CallEvent::Answer(Err(error))
                if tasks::can_be_followed(&calling.target, &self.inbound, &error) =>
            {
                let Calling { call, mut target, rounds, .. } = *calling;
                drop(call);
                target.is_followed = true;
                self.call(target, rounds).await
            }
            CallEvent::Answer(outcome) if calling.heard || !calling.call.was_refused() => {
                self.answered(*calling, outcome)
            }
            CallEvent::Answer(outcome) => Box::pin(self.refused(*calling, outcome)).await,
            CallEvent::Failed(failure) => Box::pin(self.failed(*calling, failure)).await,
        }
    }

    pub(super) fn failure(&self, failure: &Failure, target: &Target) -> CallFailure {
        CallFailure::of_backend(failure, &self.inbound, &target.route.qualified, &target.route.backend)
    }

    pub(super) fn fail(&mut self, failure: CallFailure) -> Event {
        self.note_failure(&failure);
        Event::Answer(failure.into_answer(self.inbound.routed))
    }

    pub(super) fn note_failure(&mut self, failure: &CallFailure) {
        if failure.outcome() == Outcome::Rejected {
            self.account.rejected(failure.error());
        }
        self.account.failed(failure.error(), failure.logged());
        self.account.end(failure.outcome());
    }

    /// Answers a request that belongs to no backend.
    pub(super) fn refuse(&mut self, error: RpcError) -> Event {
        let routed = self.inbound.routed;
        let is_named = matches!(routed, Routed::CallTool | Routed::GetPrompt);
        let name = self.inbound.params.as_ref().filter(|_| is_named).and_then(|params| params.get("name"));
        let name = name.as_ref().and_then(|name| name.string());
        self.account.refused(routed.method(), name.as_deref(), error.code);
        let request_id = self.inbound.caller.request_id.to_string();
        Event::Answer(Err(error.with("request_id", request_id).to_json()))
    }

    pub(super) fn is_modern(&self) -> bool {
        self.inbound.caller.revision.era() == Era::Modern
    }
}
