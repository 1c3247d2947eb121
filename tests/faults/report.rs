//! The tables, printed and as Markdown.

use std::path::Path;
use std::process::ExitCode;

use crate::Plan;
use crate::judge::Bar;

const BEGIN: &str = "<!-- begin: the last full run, written by tests/faults/run -->";
const END: &str = "<!-- end: the last full run -->";

/// The whole file: what stands around the marks of the last run stays.
fn within(path: &Path, text: &str) -> String {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    match (before.split_once(BEGIN), before.split_once(END)) {
        (Some((head, _)), Some((_, tail))) => format!("{head}{BEGIN}\n\n{text}\n\n{END}{tail}"),
        _ => format!("{text}\n"),
    }
}

/// What a run has found so far.
pub(crate) struct Report {
    plan: Plan,
    text: String,
    verdicts: Vec<Bar>,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { plan: plan.clone(), text: String::new(), verdicts: Vec::new() }
    }

    /// Whether the windows are too short to judge latency.
    pub(crate) fn is_quick(&self) -> bool {
        self.plan.quick
    }

    /// A heading, and what stands under it.
    pub(crate) fn section(&mut self, title: &str, text: &str) {
        self.add(&format!("\n### {title}\n\n{text}\n\n"));
    }

    /// The head of a table.
    pub(crate) fn columns(&mut self, names: &[&str]) {
        let rule = names.iter().map(|_| "---").collect::<Vec<_>>();
        self.add(&format!("| {} |\n| {} |\n", names.join(" | "), rule.join(" | ")));
    }

    /// A row of the table.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.add(&format!("| {} |\n", cells.join(" | ")));
    }

    /// Judges.
    pub(crate) fn bar(&mut self, verdict: Bar) {
        if !verdict.is_met {
            println!("  MISSED  {}: {} (bar: {})", verdict.scenario, verdict.measured, verdict.bar);
        }
        self.verdicts.push(verdict);
    }

    fn add(&mut self, text: &str) {
        print!("{text}");
        self.text.push_str(text);
    }

    /// Sums up, writes the file that was asked for; fails if a bar was missed.
    pub(crate) fn finish(mut self) -> ExitCode {
        self.sum_up();
        if let Some(path) = &self.plan.report {
            std::fs::write(path, within(path, self.text.trim())).unwrap();
        }
        let missed = self.verdicts.iter().filter(|verdict| !verdict.is_met).count();
        println!("\n{} bars, {missed} missed", self.verdicts.len());
        if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// One line for each bar, however often it was applied.
    fn sum_up(&mut self) {
        let mut verdicts = std::mem::take(&mut self.verdicts);
        self.section("Bars", "Each as often as it was applied.");
        self.columns(&["bar", "met", "measured, or where it was missed"]);
        let mut bars: Vec<_> = verdicts.iter().map(|verdict| verdict.bar.clone()).collect();
        let mut seen = std::collections::HashSet::new();
        bars.retain(|text| seen.insert(text.clone()));
        for text in bars {
            let applied: Vec<_> = verdicts.iter().filter(|verdict| verdict.bar == text).collect();
            let told = |verdict: &&Bar| format!("{}: {}", verdict.scenario, verdict.measured);
            let missed: Vec<_> = applied.iter().copied().filter(|verdict| !verdict.is_met).collect();
            let remark = match (&missed[..], &applied[..]) {
                ([], [only]) => told(only),
                _ => missed.iter().map(told).collect::<Vec<_>>().join("; "),
            };
            let met = applied.len() - missed.len();
            self.row(&[text, format!("{met} of {}", applied.len()), remark]);
        }
        self.verdicts.append(&mut verdicts);
    }
}
