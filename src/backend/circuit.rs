//! How does a backend's circuit stand, and what are operators told of it?

use crate::resilience::{BreakerState, Transition};
use crate::telemetry::LogLimit;
use crate::telemetry::backends::{self, Circuit};

use super::replicas::Replicas;
use super::{Backend, now};

const CIRCUIT_LINES: LogLimit = LogLimit::new("a circuit opened or closed", 10);

impl Backend {
    /// Its circuit. With replicas it is as good as the best of those that can be called, because calls pass as long
    /// as they pass to one of them.
    pub(super) fn circuit(&self) -> BreakerState {
        let best = self.replicas().and_then(Replicas::best_circuit);
        best.unwrap_or_else(|| self.breaker.state(now()))
    }

    /// Shows its circuit, and those of its replicas, as they are now: that a wait is over, nobody else tells.
    pub fn show_circuit(&self) {
        if !self.is_retired() {
            let circuit = match self.circuit() {
                BreakerState::Closed => Circuit::Closed,
                BreakerState::HalfOpen => Circuit::HalfOpen,
                BreakerState::Open => Circuit::Open,
            };
            backends::breaker_state(self.name(), circuit);
            backends::keep(self.name());
            self.show_limits();
            self.each_replica(Self::show_circuit);
        }
    }

    /// Shows its bounds; with replicas each has its own.
    fn show_limits(&self) {
        if self.replicas().is_none() {
            let (calls, in_flight) = (self.bulkhead.limit(), self.bulkhead.in_flight());
            backends::limit(self.name(), "calls", calls, in_flight);
            let open = self.pool.open() + self.kept.open();
            backends::limit(self.name(), "connections", self.settings().max_connections(), open);
        }
    }

    /// Records a breaker's transition for operators.
    pub(super) fn breaker_moved(&self, transition: Option<Transition>) {
        let circuit = match transition {
            None => return,
            Some(_) if self.is_retired() => return,
            Some(Transition::Tripped { cause, open_for }) => {
                let (backend, cause) = (self.name(), cause.as_str());
                if CIRCUIT_LINES.admits(backend) {
                    tracing::warn!(backend, cause, open_ms = open_for.as_millis(), "the circuit opened");
                }
                Circuit::Open
            }
            Some(Transition::Reset) => {
                if CIRCUIT_LINES.admits(self.name()) {
                    tracing::info!(backend = self.name(), "the circuit closed");
                }
                Circuit::Closed
            }
        };
        backends::breaker_transition(self.name(), circuit);
    }
}
