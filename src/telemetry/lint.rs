//! Is what Prometheus reads well formed, and nothing but what was declared?

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::backends::{self, BackendState, Circuit, Entries};
use super::calls::{CallMetrics, Outcome};
use super::names::{DECLARED, Declared, Kind};
use super::{install, process};

/// The value of one series, written as on the page.
pub(super) fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line?.parse().ok()
}

/// A page that holds every metric there is.
fn full_page() -> String {
    let metrics = install();
    let calls = CallMetrics::new("full", "tools/call", "quote\"d \\ and\nbroken");
    let _in_flight = calls.started();
    calls.finished(Outcome::Ok, Duration::from_millis(3));
    backends::state("full", BackendState::Ready);
    backends::restarted("full");
    backends::rejected("full", "backend_busy");
    backends::limit("full", "calls", 64, 1);
    backends::breaker_transition("full", Circuit::Open);
    backends::entries("full", Entries { tools: 3, ..Entries::default() });
    backends::catalog_fetched("full", SystemTime::now());
    backends::catalog_tokens("full", 1200);
    let _session = process::session_opened("http");
    process::catalog_generation(7);
    process::config_generation(1);
    process::tasks(1);
    process::http_request("mcp", 200);
    process::auth_failure("missing");
    process::limit("sessions", 10, 1);
    process::refused("host");
    process::log_line_suppressed("kind");
    process::panicked();
    process::build_info("0.1.0", None);
    metrics.render()
}

/// `name → what follows it` of the comment lines of one sort.
fn comments<'a>(page: &'a str, sort: &str) -> BTreeMap<&'a str, &'a str> {
    page.lines().filter_map(|line| line.strip_prefix(sort)?.split_once(' ')).collect()
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// The metric that a line of the page belongs to, and the names of the line's labels.
fn sample(line: &str) -> Option<(&'static Declared, Vec<String>)> {
    let (series, _value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let metric = DECLARED.iter().find(|metric| is_sample_of(name, metric))?;
    let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
    Some((metric, labels.map(|(name, _)| name.to_owned()).collect()))
}

fn is_sample_of(name: &str, metric: &Declared) -> bool {
    let suffixes: &[&str] = match metric.kind {
        Kind::Histogram => &["_bucket", "_sum", "_count"],
        Kind::Counter | Kind::Gauge => &[""],
    };
    name.strip_prefix(metric.name).is_some_and(|rest| suffixes.contains(&rest))
}

#[test]
fn every_declared_metric_is_on_the_page_with_its_help_and_type_and_no_other_is() {
    let page = full_page();
    let (helps, types) = (comments(&page, "# HELP "), comments(&page, "# TYPE "));
    for metric in DECLARED.iter().filter(|metric| is_known_here(metric)) {
        assert_eq!(helps.get(metric.name), Some(&metric.help), "{}", metric.name);
        assert_eq!(types.get(metric.name), Some(&kind_word(metric.kind)), "{}", metric.name);
    }
    let known = DECLARED.iter().filter(|metric| is_known_here(metric)).count();
    assert_eq!((helps.len(), types.len()), (known, known), "{page}");
}

/// Memory is read where the system tells it without being asked by unsafe code.
fn is_known_here(metric: &Declared) -> bool {
    cfg!(target_os = "linux") || !metric.name.contains("memory_bytes")
}

#[test]
fn every_series_has_the_labels_that_were_declared_and_no_other() {
    let page = full_page();
    for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let found = sample(line);
        assert!(found.is_some(), "undeclared: {line}");
        let Some((metric, mut labels)) = found else { continue };
        labels.retain(|label| label != "le");
        assert_eq!(labels, metric.labels, "{line}");
    }
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for metric in DECLARED {
        let name = metric.name;
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
        let in_seconds = metric.unit == metrics::Unit::Seconds;
        assert_eq!(name.ends_with("_seconds"), in_seconds, "{name}");
        assert!(metric.help.ends_with('.') && metric.help.len() > 10, "{name}");
    }
}

#[test]
fn a_name_that_a_backend_chose_cannot_break_out_of_its_label() {
    let page = full_page();
    let escaped = r#"tool="quote\"d \\ and\nbroken""#;
    assert!(page.contains(escaped), "{page}");
}
