//! Which metrics are there, and what do they mean? Each is declared here, once.

use metrics::Unit;

/// One metric with `N` labels.
#[derive(Debug)]
pub(super) struct Metric<const N: usize> {
    pub(super) name: &'static str,
    pub(super) labels: [&'static str; N],
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from zero at the start of the process.
    Counter,
    /// Up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// A metric as operators know it.
#[derive(Debug)]
pub struct Declared {
    /// The name, with its unit and, for counters, `_total` at the end.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What one of it is.
    pub unit: Unit,
    /// The names of its labels; a label that says nothing is left out by Prometheus.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence.
    pub help: &'static str,
}

macro_rules! declare {
    ($($kind:ident $unit:ident $id:ident $name:literal [$($label:literal),*] $help:literal)*) => {
        $(
            pub(super) static $id: Metric<{ let labels: &[&str] = &[$($label),*]; labels.len() }> =
                Metric { name: $name, labels: [$($label),*] };
        )*

        /// Every metric there is.
        pub static DECLARED: &[Declared] = &[
            $(Declared {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            },)*
        ];
    };
}

declare! {
    Counter Count CALLS "switchyard_calls_total" ["backend", "method", "tool", "outcome"]
        "Calls that ended, by outcome: ok, tool_error, rpc_error, timeout, cancelled, lost or rejected."
    Histogram Seconds CALL_DURATION "switchyard_call_duration_seconds" ["backend", "method", "tool"]
        "Time from a call's arrival to its end, whatever its outcome."
    Gauge Count CALLS_IN_FLIGHT "switchyard_calls_in_flight" ["backend"]
        "Calls that have begun and not ended."

    Gauge Count BREAKER_STATE "switchyard_breaker_state" ["backend"]
        "State of the circuit breaker: 0 closed, 1 half open, 2 open; with replicas, of the best that is connected."
    Counter Count BREAKER_TRANSITIONS "switchyard_breaker_transitions_total" ["backend", "to"]
        "Changes of the circuit breaker, by the state it changed to."
    Gauge Count BACKEND_STATE "switchyard_backend_state" ["backend", "state"]
        "1 for the state the backend is in, 0 for the others: connecting, ready, down, stopped."
    Counter Count BACKEND_RESTARTS "switchyard_backend_restarts_total" ["backend"]
        "Attempts to connect or launch the backend again, after it was lost or could not be reached."
    Counter Count RETRIES "switchyard_retries_total" ["backend"]
        "Calls made a second time: nothing had been sent, or their tool may run twice."
    Counter Count REJECTED_CALLS "switchyard_rejected_calls_total" ["backend", "reason"]
        "Calls that were not sent, by the reason in their answer: backend_unavailable, not_connected, circuit_open, backend_busy, invalid_arguments."
    Gauge Count BACKEND_LIMIT "switchyard_backend_limit" ["backend", "bound"]
        "Bounds of one backend: calls (in flight), connections (of clients' own)."
    Gauge Count BACKEND_LIMIT_USED "switchyard_backend_limit_used" ["backend", "bound"]
        "How much of a backend's bound is taken."
    Gauge Count BACKEND_ENTRIES "switchyard_backend_entries" ["backend", "kind"]
        "Entries of the backend in the catalog: tools, prompts, resources, resource_templates."
    Gauge Seconds CATALOG_FETCHED "switchyard_catalog_fetch_timestamp_seconds" ["backend"]
        "When the backend's lists were last fetched, in seconds since 1970."
    Gauge Count CATALOG_TOKENS "switchyard_catalog_tokens" ["backend"]
        "Estimated tokens that the backend's entries take up in a model's context."

    Gauge Count CATALOG_GENERATION "switchyard_catalog_generation" []
        "Generation of the catalog being served; grows whenever a list that clients see is different."
    Counter Count CONFIG_RELOADS "switchyard_config_reloads_total" ["result"]
        "Changed configurations, by what became of them: applied or refused."
    Gauge Count CONFIG_VALID "switchyard_config_last_reload_successful" []
        "1 if the configuration in force is the one in the file, 0 if the file was refused."
    Gauge Seconds CONFIG_APPLIED "switchyard_config_last_applied_timestamp_seconds" []
        "When the configuration in force was applied, in seconds since 1970."
    Gauge Count CONFIG_GENERATION "switchyard_config_generation" []
        "Number of the configuration in force: 1 at the start, one more with each that is applied."
    Gauge Count TASKS "switchyard_tasks" []
        "Tasks of the runtime that are alive: connections, backends, calls that outlive their connection."
    Gauge Count SESSIONS "switchyard_sessions" ["transport"]
        "Client sessions that are open."
    Counter Count HTTP_REQUESTS "switchyard_http_requests_total" ["endpoint", "status"]
        "HTTP requests answered, by status code."
    Counter Count AUTH_FAILURES "switchyard_auth_failures_total" ["reason"]
        "Requests that were answered 401, by what was wrong with their token: missing, malformed, unknown."
    Counter Count REFUSED_REQUESTS "switchyard_refused_requests_total" ["reason"]
        "Requests refused before they were looked at as a call."
    Counter Count SUPPRESSED_LOG_LINES "switchyard_suppressed_log_lines_total" ["kind"]
        "Log lines left out because their kind is repeated too often; a summary line counts them."
    Counter Count LOG_LINES_DROPPED "switchyard_log_lines_dropped_total" []
        "Log lines that standard error did not take: its reader stalled or is gone, or its disk is full."
    Counter Count EVICTIONS "switchyard_evictions_total" ["bound"]
        "What gave way to others because a bound was reached, by bound: connections, sessions, bodies or watches."
    Gauge Count LIMIT "switchyard_limit" ["bound"]
        "Bounds that all clients share: connections, sessions, buffered_bytes, replay_bytes, parked_calls, watched_resources."
    Gauge Count LIMIT_USED "switchyard_limit_used" ["bound"]
        "How much of a bound is taken."
    Counter Count PANICS "switchyard_panics_total" []
        "Panics; each is a bug worth reporting."
    Gauge Count BUILD_INFO "switchyard_build_info" ["version", "revision"]
        "Always 1; the labels say what is running."
    Counter Count PROCESS_CPU "process_cpu_seconds_total" []
        "Processor time used, in whole seconds."
    Gauge Count PROCESS_OPEN_FDS "process_open_fds" []
        "File descriptors that are open."
    Gauge Count PROCESS_MAX_FDS "process_max_fds" []
        "File descriptors that may be open."
    Gauge Bytes PROCESS_RESIDENT "process_resident_memory_bytes" []
        "Memory in use, in bytes; on Linux."
    Gauge Bytes PROCESS_VIRTUAL "process_virtual_memory_bytes" []
        "Address space in use, in bytes; on Linux."
    Gauge Seconds PROCESS_START_TIME "process_start_time_seconds" []
        "When the process started, in seconds since 1970."
}
