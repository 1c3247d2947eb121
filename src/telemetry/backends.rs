//! How is each backend?

use std::time::{SystemTime, UNIX_EPOCH};

use super::names::{
    BACKEND_ENTRIES, BACKEND_LIMIT, BACKEND_LIMIT_USED, BACKEND_RESTARTS, BACKEND_STATE, BREAKER_STATE,
    BREAKER_TRANSITIONS, CATALOG_FETCHED, CATALOG_TOKENS, REJECTED_CALLS, RETRIES,
};
use super::recorder::{counter, gauge};

/// What the gateway knows of a backend's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendState {
    /// Being launched, connected to or asked who it is.
    Connecting,
    /// Can be sent calls.
    Ready,
    /// Lost; another attempt follows.
    Down,
    /// Stopped on purpose or given up; no attempt follows.
    Stopped,
}

impl BackendState {
    const ALL: [Self; 4] = [Self::Connecting, Self::Ready, Self::Down, Self::Stopped];

    /// The value of the label `state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Stopped => "stopped",
        }
    }
}

/// State of a backend's circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls are sent; shown as 0.
    Closed,
    /// One call is sent to see whether the backend is well; shown as 1.
    HalfOpen,
    /// Calls are refused; shown as 2.
    Open,
}

impl Circuit {
    /// The value of the label `to`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// What a backend has in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entries {
    /// Tools.
    pub tools: usize,
    /// Prompts.
    pub prompts: usize,
    /// Resources.
    pub resources: usize,
    /// Resource templates.
    pub resource_templates: usize,
}

/// Why calls are not sent, as their answers say it.
const REJECTIONS: [&str; 5] =
    ["backend_unavailable", "not_connected", "circuit_open", "backend_busy", "invalid_arguments"];

/// Shows a new backend with everything that can happen to it at zero, so that a first event is seen
/// as an increase.
pub fn begin(backend: &str) {
    keep(backend);
    breaker_state(backend, Circuit::Closed);
}

/// Keeps the counters of a backend that is configured, however long nothing happens to it.
pub fn keep(backend: &str) {
    counter(&BACKEND_RESTARTS, [backend]).increment(0);
    counter(&RETRIES, [backend]).increment(0);
    for to in [Circuit::Closed, Circuit::HalfOpen, Circuit::Open] {
        counter(&BREAKER_TRANSITIONS, [backend, to.as_str()]).increment(0);
    }
    for reason in REJECTIONS {
        counter(&REJECTED_CALLS, [backend, reason]).increment(0);
    }
}

/// Counts a call that was not sent.
pub fn rejected(backend: &str, reason: &'static str) {
    counter(&REJECTED_CALLS, [backend, reason]).increment(1);
}

/// Shows a bound of the backend, and how much of it is taken.
pub fn limit(backend: &str, bound: &'static str, limit: usize, used: usize) {
    gauge(&BACKEND_LIMIT, [backend, bound]).set(limit as f64);
    gauge(&BACKEND_LIMIT_USED, [backend, bound]).set(used as f64);
}

/// Shows `backend` in `state` and in no other.
pub fn state(backend: &str, state: BackendState) {
    set_state(backend, Some(state));
}

/// Counts an attempt to connect or launch again after a loss.
pub fn restarted(backend: &str) {
    counter(&BACKEND_RESTARTS, [backend]).increment(1);
}

/// Counts a call that is made a second time.
pub fn retried(backend: &str) {
    counter(&RETRIES, [backend]).increment(1);
}

/// Shows the circuit in a state it did not change to just now: the first one.
pub fn breaker_state(backend: &str, state: Circuit) {
    gauge(&BREAKER_STATE, [backend]).set(f64::from(state as u8));
}

/// Counts a change of the circuit, and shows the new state.
pub fn breaker_transition(backend: &str, to: Circuit) {
    counter(&BREAKER_TRANSITIONS, [backend, to.as_str()]).increment(1);
    breaker_state(backend, to);
}

/// Shows how many entries the backend has in the catalog.
pub fn entries(backend: &str, entries: Entries) {
    let Entries { tools, prompts, resources, resource_templates } = entries;
    let kinds = [
        ("tools", tools),
        ("prompts", prompts),
        ("resources", resources),
        ("resource_templates", resource_templates),
    ];
    for (kind, count) in kinds {
        gauge(&BACKEND_ENTRIES, [backend, kind]).set(count as f64);
    }
}

/// Shows when the backend's lists were last fetched.
pub fn catalog_fetched(backend: &str, at: SystemTime) {
    let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge(&CATALOG_FETCHED, [backend]).set(since_1970.as_secs_f64());
}

/// Shows an estimate of the tokens that the backend's entries cost a model.
pub fn catalog_tokens(backend: &str, tokens: usize) {
    gauge(&CATALOG_TOKENS, [backend]).set(tokens as f64);
}

/// Shows nothing more of a backend that is no longer configured.
///
/// A gauge cannot be taken back until the process ends, so these stay at zero: in no state, with a
/// closed circuit and no entries. Counters and durations are dropped when a day old.
pub fn forget(backend: &str) {
    set_state(backend, None);
    breaker_state(backend, Circuit::Closed);
    entries(backend, Entries::default());
    catalog_tokens(backend, 0);
    catalog_fetched(backend, UNIX_EPOCH);
    for bound in ["calls", "connections"] {
        gauge(&BACKEND_LIMIT_USED, [backend, bound]).set(0);
    }
}

fn set_state(backend: &str, current: Option<BackendState>) {
    for state in BackendState::ALL {
        let is_current = u8::from(current == Some(state));
        gauge(&BACKEND_STATE, [backend, state.as_str()]).set(f64::from(is_current));
    }
}

#[cfg(test)]
mod tests {
    use super::super::lint::value;
    use super::super::recorder::install;
    use super::*;

    fn states(backend: &str) -> Vec<&'static str> {
        let page = install().render();
        let is_one = |state: &BackendState| {
            let labels = format!(r#"backend="{backend}",state="{}""#, state.as_str());
            value(&page, &format!("switchyard_backend_state{{{labels}}}")) == Some(1.0)
        };
        BackendState::ALL.into_iter().filter(is_one).map(BackendState::as_str).collect()
    }

    #[test]
    fn a_backend_is_shown_in_one_state_at_a_time_and_in_none_once_forgotten() {
        state("stateful", BackendState::Connecting);
        assert_eq!(states("stateful"), ["connecting"]);
        state("stateful", BackendState::Ready);
        assert_eq!(states("stateful"), ["ready"]);
        forget("stateful");
        assert!(states("stateful").is_empty());
    }

    #[test]
    fn a_transition_is_counted_and_shown() {
        breaker_state("tripping", Circuit::Closed);
        breaker_transition("tripping", Circuit::Open);
        breaker_transition("tripping", Circuit::HalfOpen);
        breaker_transition("tripping", Circuit::Open);
        let page = install().render();
        assert_eq!(value(&page, r#"switchyard_breaker_state{backend="tripping"}"#), Some(2.0));
        let opened = r#"switchyard_breaker_transitions_total{backend="tripping",to="open"}"#;
        assert_eq!(value(&page, opened), Some(2.0));
    }
}
