//! The books of one exchange: opened when its owner is known, closed exactly once.

use std::sync::Arc;
use std::time::Instant;

use crate::protocol::Routed;
use crate::telemetry::{CallMetrics, InFlight, Outcome, backends};

use super::request::Caller;
use super::router::Router;
use super::target::Target;

/// Counts and logs one call; dropped open, the call counts as cancelled.
pub(super) struct Account {
    started: Instant,
    caller: Caller,
    open: Option<Open>,
}

struct Open {
    metrics: Arc<CallMetrics>,
    _in_flight: InFlight,
    backend: Arc<str>,
    name: Arc<str>,
}

impl Account {
    pub(super) fn new(caller: Caller) -> Self {
        Self { started: Instant::now(), caller, open: None }
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
    pub(super) fn failed(&self, error: &str, reason: &str) {
        let Some(open) = &self.open else { return };
        tracing::warn!(
            request_id = %self.caller.request_id,
            principal = self.caller.principal.name(),
            backend = &*open.backend,
            name = &*open.name,
            trace_id = self.trace_id(),
            error,
            reason,
            "call failed"
        );
    }

    /// The trace that the call belongs to, if it belongs to one.
    fn trace_id(&self) -> Option<String> {
        self.caller.trace.as_ref()?.trace_id()
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        let Some(open) = self.open.take() else { return };
        let elapsed = self.started.elapsed();
        open.metrics.finished(outcome, elapsed);
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
}

impl Drop for Account {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}
