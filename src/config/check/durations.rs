//! Does a bound lie above what it bounds?

use std::time::Duration;

use serde_json::Value;

use super::super::problem::Finding;
use super::super::tree::{Kind, Node};
use super::is_literal;
use crate::backend::TimeoutSettings;
use crate::resilience::{BreakerSettings, RestartSettings};
use crate::units;

/// A duration that must not be longer than another of the same section.
struct Order {
    section: &'static str,
    less: (&'static str, Duration),
    more: (&'static str, Duration),
}

fn orders() -> [Order; 3] {
    let (timeouts, breaker, restart) =
        (TimeoutSettings::default(), BreakerSettings::default(), RestartSettings::default());
    [
        Order { section: "timeouts", less: ("call", timeouts.call), more: ("total", timeouts.total) },
        Order { section: "breaker", less: ("open", breaker.open), more: ("max_open", breaker.max_open) },
        Order {
            section: "restart",
            less: ("backoff", restart.backoff),
            more: ("max_backoff", restart.max_backoff),
        },
    ]
}

/// Checks the sections of one backend, or of `defaults`.
pub(super) fn check(policies: &Node, findings: &mut Vec<Finding>) {
    for order in orders() {
        if let Some(section) = policies.get(order.section) {
            findings.extend(order.check(section));
        }
    }
}

/// Checks the deadlines of single tools against each other, and against the backend's where one is not set.
pub(super) fn check_tools(backend: &Node, findings: &mut Vec<Finding>) {
    let [order, ..] = orders();
    let own = backend.get("timeouts");
    for tool in backend.get("tools").map(Node::entries).unwrap_or_default() {
        if let Some(timeouts) = tool.value.get("timeouts") {
            findings.extend(order.check_with(timeouts, own));
        }
    }
}

impl Order {
    fn check(&self, section: &Node) -> Option<Finding> {
        self.check_with(section, None)
    }

    /// What `section` does not have is taken from `under`.
    fn check_with(&self, section: &Node, under: Option<&Node>) -> Option<Finding> {
        let of = |key| section.get(key).or_else(|| under?.get(key));
        let (less, more) = (of(self.less.0), of(self.more.0));
        let low = less.map_or(Some(self.less.1), duration)?;
        let high = more.map_or(Some(self.more.1), duration)?;
        if low <= high {
            return None;
        }
        let place = section.get(self.less.0).or_else(|| section.get(self.more.0))?;
        let message =
            format!("{} is longer than {}", told(self.less.0, low, less), told(self.more.0, high, more),);
        let suggestion = format!("lower `{}` or raise `{}`", self.less.0, self.more.0);
        Some(Finding::new(place.span, message).suggest(suggestion))
    }
}

fn told(key: &str, duration: Duration, node: Option<&Node>) -> String {
    let duration = humantime::format_duration(duration);
    match node {
        None => format!("`{key}` ({duration}, the default)"),
        Some(node) if is_literal(node) => format!("`{key}` ({duration})"),
        Some(_) => format!("`{key}`"),
    }
}

fn duration(node: &Node) -> Option<Duration> {
    match &node.kind {
        Kind::Scalar(Value::String(text), _) => units::parse_duration(text),
        Kind::Scalar(Value::Number(number), _) => units::from_seconds(number.as_f64()?),
        _ => None,
    }
}
