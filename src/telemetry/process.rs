//! How is the gateway itself?

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge};
use parking_lot::RwLock;

use super::names::{
    AUTH_FAILURES, BUILD_INFO, CATALOG_GENERATION, CONFIG_APPLIED, CONFIG_GENERATION, CONFIG_RELOADS,
    CONFIG_VALID, EVICTIONS, HTTP_REQUESTS, LIMIT, LIMIT_USED, LOG_LINES_DROPPED, PANICS, PROCESS_START_TIME,
    REFUSED_REQUESTS, SESSIONS, SUPPRESSED_LOG_LINES, TASKS,
};
use super::recorder::{counter, gauge};

/// Counters of HTTP requests by endpoint and status; few, and the busy ones come first.
static ANSWERED: RwLock<Vec<(&str, u16, Counter)>> = RwLock::new(Vec::new());

/// Counts an HTTP request that was answered with `status`. `endpoint` is the gateway's own name
/// for what was asked, never the path a client sent.
pub fn http_request(endpoint: &'static str, status: u16) {
    if !count_known(endpoint, status) {
        remember(endpoint, status);
        count_known(endpoint, status);
    }
}

/// What can be wrong with a request's token.
const AUTH_REASONS: [&str; 3] = ["missing", "malformed", "unknown"];
/// Why requests are refused before they are looked at.
const REFUSALS: [&str; 9] =
    ["host", "origin", "body_size", "body_timeout", "http", "malformed", "memory", "sessions", "connections"];

/// Counts a request whose token is missing, malformed or unknown.
pub fn auth_failure(reason: &'static str) {
    counter(&AUTH_FAILURES, [reason]).increment(1);
}

/// Shows a bound that all clients share, and how much of it is taken.
pub fn limit(bound: &'static str, limit: usize, used: usize) {
    gauge(&LIMIT, [bound]).set(limit as f64);
    gauge(&LIMIT_USED, [bound]).set(used as f64);
}

/// Counts a request refused before it was looked at as a call.
pub fn refused(reason: &'static str) {
    counter(&REFUSED_REQUESTS, [reason]).increment(1);
}

/// Counts a log line that was left out because its kind is repeated too often.
pub(super) fn log_line_suppressed(kind: &'static str) {
    counter(&SUPPRESSED_LOG_LINES, [kind]).increment(1);
}

/// Counts what gave way to others because a bound was reached.
pub fn evicted(bound: &'static str) {
    counter(&EVICTIONS, [bound]).increment(1);
}

/// Counts a panic.
pub fn panicked() {
    counter(&PANICS, []).increment(1);
}

/// Counts log lines that were not written.
pub(super) fn log_lines_dropped(lines: u64) {
    counter(&LOG_LINES_DROPPED, []).increment(lines);
}

/// Shows which generation of the catalog is served.
pub fn catalog_generation(generation: u64) {
    gauge(&CATALOG_GENERATION, []).set(generation as f64);
}

/// Shows how many tasks are alive.
pub fn tasks(alive: usize) {
    gauge(&TASKS, []).set(alive as f64);
}

/// Shows which configuration is in force from now on.
pub fn config_generation(generation: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge(&CONFIG_GENERATION, []).set(generation as f64);
    gauge(&CONFIG_APPLIED, []).set(now.as_secs_f64());
    gauge(&CONFIG_VALID, []).set(1);
}

/// Counts a changed configuration that is in force now.
pub fn config_applied() {
    counter(&CONFIG_RELOADS, ["applied"]).increment(1);
}

/// Counts a configuration that was refused.
pub fn config_refused() {
    counter(&CONFIG_RELOADS, ["refused"]).increment(1);
    gauge(&CONFIG_VALID, []).set(0);
}

/// Shows that the file says what is in force.
pub fn config_valid() {
    gauge(&CONFIG_VALID, []).set(1);
}

/// Shows what is running; without a `revision` that label is left empty.
pub fn build_info(version: &str, revision: Option<&str>) {
    gauge(&BUILD_INFO, [version, revision.unwrap_or_default()]).set(1);
}

/// Counts a session as open for as long as the guard lives.
pub fn session_opened(transport: &'static str) -> OpenSession {
    let gauge = gauge(&SESSIONS, [transport]);
    gauge.increment(1);
    OpenSession { gauge }
}

/// A session that is open; dropping it counts the session out.
#[must_use = "the session counts as open only while this lives"]
pub struct OpenSession {
    gauge: Gauge,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenSession")
    }
}

/// Marks the start of the process.
pub(super) fn started() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge(&PROCESS_START_TIME, []).set(now.as_secs_f64());
    keep();
}

/// Keeps the counters that belong to no backend, however long nothing happens: their first step
/// must be seen as a step, and the kept handles must go on counting.
pub(super) fn keep() {
    for metric in [&LOG_LINES_DROPPED, &PANICS] {
        counter(metric, []).increment(0);
    }
    for bound in ["connections", "sessions", "bodies", "watches"] {
        counter(&EVICTIONS, [bound]).increment(0);
    }
    for reason in AUTH_REASONS {
        counter(&AUTH_FAILURES, [reason]).increment(0);
    }
    for reason in REFUSALS {
        counter(&REFUSED_REQUESTS, [reason]).increment(0);
    }
    for result in ["applied", "refused"] {
        counter(&CONFIG_RELOADS, [result]).increment(0);
    }
    for (_, _, counter) in &*ANSWERED.read() {
        counter.increment(0);
    }
}

fn count_known(endpoint: &str, status: u16) -> bool {
    let answered = ANSWERED.read();
    let known = answered.iter().find(|(e, s, _)| *s == status && *e == endpoint);
    known.inspect(|(_, _, counter)| counter.increment(1)).is_some()
}

fn remember(endpoint: &'static str, status: u16) {
    let mut answered = ANSWERED.write();
    if !answered.iter().any(|(e, s, _)| *s == status && *e == endpoint) {
        let counter = counter(&HTTP_REQUESTS, [endpoint, &status.to_string()]);
        answered.push((endpoint, status, counter));
    }
}

#[cfg(test)]
mod tests {
    use super::super::lint::value;
    use super::super::recorder::install;
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_status() {
        http_request("counted", 200);
        http_request("counted", 200);
        http_request("counted", 404);
        let page = install().render();
        let count = |status: u16| {
            let series = format!(r#"switchyard_http_requests_total{{endpoint="counted",status="{status}"}}"#);
            value(&page, &series)
        };
        assert_eq!((count(200), count(404), count(500)), (Some(2.0), Some(1.0), None));
    }

    #[test]
    fn a_session_is_open_until_its_guard_is_dropped() {
        let open = || value(&install().render(), r#"switchyard_sessions{transport="guarded"}"#);
        let session = session_opened("guarded");
        assert_eq!(open(), Some(1.0));
        drop(session);
        assert_eq!(open(), Some(0.0));
    }

    #[test]
    fn what_an_alert_watches_is_there_before_it_happens_and_installing_again_changes_nothing() {
        let start = |page: &str| value(page, "process_start_time_seconds");
        let first = install().render();
        assert!(value(&first, "switchyard_panics_total").is_some());
        assert!(value(&first, r#"switchyard_auth_failures_total{reason="missing"}"#).is_some());
        assert_eq!(value(&first, r#"switchyard_refused_requests_total{reason="origin"}"#), Some(0.0));
        assert!(start(&first).is_some_and(|start| start > 1.6e9));
        assert_eq!(start(&install().render()), start(&first));
    }
}
