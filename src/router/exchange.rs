//! One request and everything that belongs to it: progress, logs, the answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{Call, CallEvent, Failure};
use crate::protocol::{RawJson, Routed, RpcError, code};
use crate::telemetry::{CallMetrics, InFlight, Outcome};

use super::failure::CallFailure;
use super::hop;
use super::request::Inbound;
use super::router::Router;
use super::target::{Target, resolve};

/// What a client hears of its request.
#[derive(Debug)]
pub enum Event {
    /// Progress or a log message that belongs to the request.
    Notification {
        /// `notifications/progress` or `notifications/message`.
        method: &'static str,
        /// With the client's own progress token.
        params: RawJson,
    },
    /// The answer: its `result` or its `error`. Nothing comes after it.
    Answer(Result<RawJson, RawJson>),
}

type Step = Pin<Box<dyn Future<Output = (Driver, Event)> + Send>>;

/// A request under way. Nothing happens until its first event is asked for; dropped before its
/// answer, it is cancelled at the backend.
pub struct Exchange {
    /// Holds what was begun, so that an interrupted `next` goes on where it was.
    step: Option<Step>,
}

impl Exchange {
    pub(super) fn new(router: Arc<Router>, inbound: Inbound) -> Self {
        let driver = Driver { router, inbound, stage: Stage::New, account: Account::new() };
        Self { step: Some(Box::pin(driver.step())) }
    }

    /// The next event. Cancel-safe. After the answer it never returns.
    pub async fn next(&mut self) -> Event {
        let Some(step) = &mut self.step else { return std::future::pending().await };
        let (driver, event) = step.await;
        self.step = match event {
            Event::Notification { .. } => Some(Box::pin(driver.step())),
            Event::Answer(_) => None,
        };
        event
    }
}

/// Where the exchange stands.
enum Stage {
    New,
    Calling(Box<Calling>),
    Over,
}

struct Calling {
    call: Call,
    target: Target,
}

struct Driver {
    router: Arc<Router>,
    inbound: Inbound,
    stage: Stage,
    account: Account,
}

impl Driver {
    async fn step(mut self) -> (Self, Event) {
        loop {
            let event = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::New => self.open().await,
                Stage::Calling(calling) => self.proceed(calling).await,
                // Unreachable by construction: an exchange ends with its answer.
                Stage::Over => Some(Event::Answer(Err(RpcError::internal("the exchange is over").to_json()))),
            };
            if let Some(event) = event {
                return (self, event);
            }
        }
    }

    /// Finds the owner and asks for leave to send.
    async fn open(&mut self) -> Option<Event> {
        let target = match resolve(&self.router.catalog(), &self.inbound) {
            Ok(target) => target,
            Err(error) => return Some(self.refuse(error)),
        };
        self.account.begin(&self.router, &target, self.inbound.routed);
        if let Err(failure) = self.check_arguments(&target) {
            return Some(self.fail(*failure));
        }
        let admission = match self.router.backend(&target.route.backend) {
            Some(backend) => backend.admit().await,
            None => Err(Failure::unavailable("the backend was taken out of the configuration")),
        };
        match admission {
            Ok(admission) => {
                let id = admission.draw_id();
                let params = hop::outward(&target, &self.inbound, admission.revision(), id);
                let call = admission.call(id, self.inbound.routed.method(), params);
                self.stage = Stage::Calling(Box::new(Calling { call, target }));
                None
            }
            Err(failure) => Some(self.fail(self.failure(&failure, &target))),
        }
    }

    fn check_arguments(&self, target: &Target) -> Result<(), Box<CallFailure>> {
        let Some(tool) = target.tool.as_ref().filter(|tool| tool.validate) else { return Ok(()) };
        tool.check_arguments(target.params.get("arguments")).map_err(|problems| {
            let route = &target.route;
            Box::new(CallFailure::of_arguments(&problems, &self.inbound, &route.qualified, &route.backend))
        })
    }

    /// Takes the call's next event.
    async fn proceed(&mut self, mut calling: Box<Calling>) -> Option<Event> {
        match calling.call.next().await {
            CallEvent::Notification { method, params } => {
                self.stage = Stage::Calling(calling);
                hop::notification(&method, params, &self.inbound.caller)
            }
            CallEvent::Answer(outcome) => Some(self.relay(&calling.target, outcome)),
            CallEvent::Failed(failure) => Some(self.fail(self.failure(&failure, &calling.target))),
        }
    }

    fn failure(&self, failure: &Failure, target: &Target) -> CallFailure {
        CallFailure::of_backend(failure, &self.inbound, &target.route.qualified, &target.route.backend)
    }

    fn relay(&mut self, target: &Target, outcome: Result<RawJson, RawJson>) -> Event {
        let outcome = match (self.inbound.routed, outcome) {
            (Routed::ReadResource, Ok(result)) => {
                let shown = hop::shown_contents(&self.router.catalog(), &target.route, result);
                Ok(hop::with_caching(shown, &self.inbound.caller))
            }
            (Routed::Complete, Err(error)) if is_unknown_method(&error) => Ok(no_completions()),
            (_, Ok(result)) => Ok(result),
            (_, Err(error)) => Err(hop::shown_error(error, &self.inbound.caller)),
        };
        self.account.end(&self.inbound, outcome_of(&outcome));
        Event::Answer(outcome)
    }

    fn fail(&mut self, failure: CallFailure) -> Event {
        let (error, reason) = (failure.error(), failure.message());
        tracing::warn!(
            request_id = %self.inbound.caller.request_id,
            principal = self.inbound.caller.principal.name(),
            backend = self.account.backend(),
            name = self.account.name(),
            error,
            reason,
            "call failed"
        );
        self.account.end(&self.inbound, failure.outcome());
        Event::Answer(failure.into_answer(self.inbound.routed))
    }

    /// Answers a request that belongs to no backend.
    fn refuse(&mut self, error: RpcError) -> Event {
        let request_id = self.inbound.caller.request_id.to_string();
        Event::Answer(Err(error.with("request_id", request_id).to_json()))
    }
}

impl Drop for Driver {
    /// The client went away.
    fn drop(&mut self) {
        self.account.end(&self.inbound, Outcome::Cancelled);
    }
}

fn is_unknown_method(error: &RawJson) -> bool {
    error.get("code").and_then(|code| code.to()) == Some(code::METHOD_NOT_FOUND)
}

fn no_completions() -> RawJson {
    RawJson::of(&serde_json::json!({ "completion": { "values": [], "hasMore": false } }))
}

fn outcome_of(outcome: &Result<RawJson, RawJson>) -> Outcome {
    match outcome {
        Err(_) => Outcome::RpcError,
        Ok(result) if result.get("isError").is_some_and(|flag| flag.as_str() == "true") => Outcome::ToolError,
        Ok(_) => Outcome::Ok,
    }
}

/// The books of one exchange: opened when its owner is known, closed exactly once.
struct Account {
    started: Instant,
    open: Option<Open>,
}

struct Open {
    metrics: Arc<CallMetrics>,
    _in_flight: InFlight,
    backend: Arc<str>,
    name: Arc<str>,
}

impl Account {
    fn new() -> Self {
        Self { started: Instant::now(), open: None }
    }

    fn begin(&mut self, router: &Router, target: &Target, routed: Routed) {
        let metrics = router.call_metrics(routed, &target.route);
        self.open = Some(Open {
            _in_flight: metrics.started(),
            metrics,
            backend: Arc::clone(&target.route.backend),
            name: Arc::clone(&target.route.qualified),
        });
    }

    fn backend(&self) -> &str {
        self.open.as_ref().map_or("", |open| &open.backend)
    }

    fn name(&self) -> &str {
        self.open.as_ref().map_or("", |open| &open.name)
    }

    fn end(&mut self, inbound: &Inbound, outcome: Outcome) {
        let Some(open) = self.open.take() else { return };
        let elapsed = self.started.elapsed();
        open.metrics.finished(outcome, elapsed);
        tracing::debug!(
            request_id = %inbound.caller.request_id,
            principal = inbound.caller.principal.name(),
            backend = &*open.backend,
            name = &*open.name,
            outcome = outcome.as_str(),
            elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "call finished"
        );
    }
}
