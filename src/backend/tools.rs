//! What did the operator set for single tools?

use std::collections::BTreeMap;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units;

use super::TimeoutSettings;

/// What one tool, or those that a glob names, has instead of its backend's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolSettings {
    /// Deadlines; the backend's unless set.
    pub timeouts: ToolTimeoutSettings,
    /// Make a call that was lost once more, though it may have run. Only for tools that may run twice; what was
    /// not sent is made again in any case.
    pub retry: Option<bool>,
}

/// Deadlines of calls of one tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolTimeoutSettings {
    /// For a call to be answered; every progress notification starts it anew.
    #[serde(with = "units::optional_duration")]
    #[schemars(with = "Option<units::DurationText>")]
    pub call: Option<Duration>,
    /// For a call whatever its progress.
    #[serde(with = "units::optional_duration")]
    #[schemars(with = "Option<units::DurationText>")]
    pub total: Option<Duration>,
}

/// What holds for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Until the answer or the next progress.
    pub call: Duration,
    /// Until the answer, whatever the progress.
    pub total: Duration,
    /// Whether it may run twice.
    pub may_repeat: bool,
}

/// The settings of one backend's tools, compiled.
#[derive(Debug)]
pub(super) struct Tools {
    ordinary: Limits,
    /// The more exactly a pattern names a tool, the later it stands.
    rules: Vec<(GlobMatcher, ToolSettings)>,
}

impl Tools {
    pub(super) fn new(timeouts: &TimeoutSettings, tools: &BTreeMap<String, ToolSettings>) -> Self {
        let ordinary = Limits { call: timeouts.call, total: timeouts.total, may_repeat: false };
        let mut patterns: Vec<_> = tools.iter().collect();
        patterns.sort_by_key(|(pattern, _)| exactness(pattern));
        let compiled = patterns
            .into_iter()
            .filter_map(|(pattern, rule)| Some((Glob::new(pattern).ok()?.compile_matcher(), rule.clone())));
        Self { ordinary, rules: compiled.collect() }
    }

    /// What holds for a call of `tool`, or for a request that is no tool call. Of several patterns that fit, each
    /// setting is taken from the most exact one that has it.
    pub(super) fn limits(&self, tool: Option<&str>) -> Limits {
        let Some(tool) = tool else { return self.ordinary };
        let fitting = self.rules.iter().filter(|(pattern, _)| pattern.is_match(tool));
        fitting.fold(self.ordinary, |limits, (_, rule)| Limits {
            call: rule.timeouts.call.unwrap_or(limits.call),
            total: rule.timeouts.total.unwrap_or(limits.total),
            may_repeat: rule.retry.unwrap_or(limits.may_repeat),
        })
    }
}

/// A name is more exact than any glob, and a glob the more so the more it spells out.
fn exactness(pattern: &str) -> (bool, usize) {
    let is_name = !pattern.contains(['*', '?', '[', '{']);
    (is_name, pattern.chars().filter(|c| !"*?".contains(*c)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern, its deadline in seconds, and whether it may run twice.
    type Rule = (&'static str, Option<u64>, Option<bool>);

    fn tools(rules: &[Rule]) -> Tools {
        let rule = |&(pattern, call, retry): &Rule| {
            let timeouts = ToolTimeoutSettings { call: call.map(Duration::from_secs), total: None };
            (pattern.to_owned(), ToolSettings { timeouts, retry })
        };
        Tools::new(&TimeoutSettings::default(), &rules.iter().map(rule).collect())
    }

    fn limits(tools: &Tools, tool: &str) -> (u64, bool) {
        let limits = tools.limits(Some(tool));
        (limits.call.as_secs(), limits.may_repeat)
    }

    #[test]
    fn each_setting_comes_from_the_most_exact_pattern_that_has_it() {
        let tools = tools(&[
            ("*", Some(10), None),
            ("export_*", Some(300), Some(true)),
            ("export_all", None, Some(false)),
            ("export_all_*", Some(900), None),
        ]);
        assert_eq!(limits(&tools, "find"), (10, false));
        assert_eq!(limits(&tools, "export_csv"), (300, true));
        assert_eq!(limits(&tools, "export_all"), (300, false));
        assert_eq!(limits(&tools, "export_all_now"), (900, true));
    }

    #[test]
    fn what_no_pattern_names_has_the_backends_own_limits() {
        let tools = tools(&[("export_*", Some(300), Some(true))]);
        assert_eq!(limits(&tools, "find"), (60, false));
        assert_eq!(tools.limits(None), tools.ordinary);
    }
}
