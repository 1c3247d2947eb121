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

impl Order {
    fn check(&self, section: &Node) -> Option<Finding> {
        let (less, more) = (section.get(self.less.0), section.get(self.more.0));
        let low = less.map_or(Some(self.less.1), duration)?;
        let high = more.map_or(Some(self.more.1), duration)?;
        if low <= high {
            return None;
        }
        let place = less.or(more)?;
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
