//! The books of one exchange: opened when its owner is known, closed exactly once.

use std::sync::Arc;
use std::time::Instant;

use crate::protocol::Routed;
use crate::telemetry::{CallMetrics, InFlight, LogLimit, Outcome, backends, excerpt};

use super::request::Caller;
use super::router::Router;
use super::target::Target;

const FAILED_LINES: LogLimit = LogLimit::new("failed calls", 20);

/// Counts and logs one call; dropped open, the call counts as cancelled.
pub(super) struct Account {
    started: Instant,
    caller: Caller,
    open: Option<Open>,
    /// Whether it was said already why it failed.
    is_logged: bool,
}

struct Open {
    metrics: Arc<CallMetrics>,
    _in_flight: InFlight,
    backend: Arc<str>,
    name: Arc<str>,
}

impl Account {
    pub(super) fn new(caller: Caller) -> Self {
        Self { started: Instant::now(), caller, open: None, is_logged: false }
    }

    pub(super) fn begin(&mut self, router: &Router, target: &Target, routed: Routed) {
        let metrics = router.call_metrics(routed, &target.route);
        self.open = Some(Open {
            _in_flight: metrics.started(),
            metrics,
            backend: Arc::clone(&target.route.backend),
            // A URI may be made of arguments, which are never logged.
            name: match routed {
                Routed::CallTool | Routed::GetPrompt => Arc::clone(&target.route.qualified),
                _ => Arc::from(routed.method()),
            },
        });
    }

    /// Counts why the call was not sent.
    pub(super) fn rejected(&self, reason: &'static str) {
        if let Some(open) = &self.open {
            backends::rejected(&open.backend, reason);
        }
    }

    /// Says why the call got no answer from its backend.
    pub(super) fn failed(&mut self, error: &str, reason: &str) {
        self.is_logged = true;
        let Some(open) = &self.open else { return };
        if self.admits(&open.backend, error) {
            let Caller { request_id, principal, .. } = &self.caller;
            tracing::warn!(
                %request_id,
                peer = request_id.peer().map(tracing::field::display),
                principal = principal.name(),
                backend = &*open.backend,
                name = &*open.name,
                trace_id = self.trace_id(),
                error,
                reason,
                "call failed"
            );
        }
    }

    /// Says that a request reached no backend; `name` is what the client called, where that is a name.
    pub(super) fn refused(&self, method: &'static str, name: Option<&str>, code: i32) {
        if self.admits("", method) {
            let Caller { request_id, principal, .. } = &self.caller;
            tracing::warn!(
                %request_id,
                peer = request_id.peer().map(tracing::field::display),
                principal = principal.name(),
                method,
                name = name.map(|name| excerpt(name.as_bytes())),
                trace_id = self.trace_id(),
                code,
                "call refused"
            );
        }
    }

    fn admits(&self, backend: &str, error: &str) -> bool {
        FAILED_LINES.admits(&format!("{} {backend} {error}", self.caller.principal.name()))
    }

    /// The trace that the call belongs to, if it belongs to one.
    fn trace_id(&self) -> Option<String> {
        self.caller.trace.as_ref()?.trace_id()
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        self.end_with_code(outcome, None);
    }

    /// Ends it with the code of the backend's error, if it answered with one.
    pub(super) fn end_with_code(&mut self, outcome: Outcome, code: Option<i32>) {
        let Some(open) = self.open.take() else { return };
        let elapsed = self.started.elapsed();
        open.metrics.finished(outcome, elapsed);
        let is_news = outcome != Outcome::Ok && !self.is_logged;
        if is_news && self.admits(&open.backend, outcome.as_str()) {
            self.log_end(&open, outcome, code);
        }
        tracing::debug!(
            request_id = %self.caller.request_id,
            principal = self.caller.principal.name(),
            backend = &*open.backend,
            name = &*open.name,
            trace_id = self.trace_id(),
            outcome = outcome.as_str(),
            elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "call finished"
        );
    }

    /// What the backend said is not repeated: it may hold what the client sent.
    fn log_end(&self, open: &Open, outcome: Outcome, code: Option<i32>) {
        let Caller { request_id, principal, .. } = &self.caller;
        let reason = match outcome {
            Outcome::ToolError => "the tool reported an error",
            Outcome::RpcError => "the backend answered with an error",
            Outcome::Cancelled => "the client took the call back",
            _ => "no answer",
        };
        tracing::info!(
            %request_id,
            peer = request_id.peer().map(tracing::field::display),
            principal = principal.name(),
            backend = &*open.backend,
            name = &*open.name,
            trace_id = self.trace_id(),
            error = outcome.as_str(),
            code,
            reason,
            "call failed"
        );
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}
