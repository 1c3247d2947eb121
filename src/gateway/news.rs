//! What do operators hear of the configuration: in the log, in the metrics and in `/status`?

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Change, Config, Diff, Problems};
use crate::telemetry::process;
use crate::units::seconds_since_1970 as now;

/// What `/status` says of the configuration.
pub(super) struct News(Mutex<Told>);

#[derive(Serialize)]
struct Told {
    /// The file it was read from.
    file: PathBuf,
    /// Number of the configuration in force: 1 at the start, one more with each that is applied.
    generation: u64,
    /// When it was applied, in seconds since 1970.
    applied_at: u64,
    /// Keys that were changed in the file and take effect when the gateway is started again.
    needs_restart: Vec<&'static str>,
    /// Why the file as it is now is not in force.
    refused: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    /// Seconds since 1970.
    at: u64,
    problems: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    line: usize,
    column: usize,
    message: String,
}

impl News {
    pub(super) fn new(config: &Config) -> Self {
        let file = std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone());
        process::config_generation(1);
        tell_notes(config);
        let (applied_at, needs_restart) = (now(), Vec::new());
        Self(Mutex::new(Told { file, generation: 1, applied_at, needs_restart, refused: None }))
    }

    /// The file was read, and says what is in force already, or what only a restart changes.
    pub(super) fn unchanged(&self, needs_restart: Vec<&'static str>) {
        let mut told = self.0.lock();
        told.refused = None;
        told.needs_restart = needs_restart;
        process::config_valid();
        tracing::info!(generation = told.generation, "configuration read again: nothing to change");
        warn_of(&told.needs_restart);
    }

    /// A changed configuration is in force.
    pub(super) fn applied(&self, config: &Config, diff: &Diff, needs_restart: Vec<&'static str>) {
        tell_notes(config);
        let mut told = self.0.lock();
        told.generation += 1;
        told.applied_at = now();
        told.refused = None;
        told.needs_restart = needs_restart;
        process::config_generation(told.generation);
        process::config_applied();
        let names = |change| diff.names(change).collect::<Vec<_>>().join(" ");
        tracing::info!(
            generation = told.generation,
            added = names(Change::Added),
            removed = names(Change::Removed),
            altered = names(Change::Altered),
            shown_differently = names(Change::Reexposed),
            settings = diff.settings.join(" "),
            "configuration applied"
        );
        warn_of(&told.needs_restart);
    }

    /// The file is wrong; what was in force stays.
    pub(super) fn refused(&self, problems: &Problems) {
        let mut told = self.0.lock();
        let places = problems.problems.iter().map(|problem| Place {
            line: problem.line,
            column: problem.column,
            message: problem.message.clone(),
        });
        let places: Vec<Place> = places.collect();
        for Place { line, column, message } in &places {
            let place = place(&told.file, *line, *column);
            tracing::error!(place, line, column, "configuration refused: {message}");
        }
        tracing::error!(generation = told.generation, "the configuration that was in force stays");
        told.refused = Some(Refused { at: now(), problems: places });
        process::config_refused();
    }

    /// In one line: what is in force, and why the file as it is now is not.
    pub(super) fn summary(&self) -> String {
        let told = self.0.lock();
        let refused = told.refused.as_ref().and_then(|refused| refused.problems.first()).map(|problem| {
            let place = place(&told.file, problem.line, problem.column);
            format!("configuration refused: {place}: {}; ", problem.message)
        });
        format!("{}configuration {} is in force", refused.unwrap_or_default(), told.generation)
    }

    pub(super) fn to_json(&self) -> Value {
        json!(&*self.0.lock())
    }
}

/// What the file's author should know although nothing is wrong.
fn tell_notes(config: &Config) {
    for note in &config.notes {
        let place = place(&config.path, note.line, note.column);
        tracing::warn!(place, note = note.message, suggestion = note.suggestion, "configuration note");
    }
}

fn warn_of(needs_restart: &[&'static str]) {
    if !needs_restart.is_empty() {
        tracing::warn!(keys = needs_restart.join(" "), "changed, but in force only after a restart");
    }
}

fn place(file: &Path, line: usize, column: usize) -> String {
    match line {
        0 => file.display().to_string(),
        line => format!("{}:{line}:{column}", file.display()),
    }
}
