//! Where commands write: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::config::Problems;
use crate::printable;
use crate::telemetry::{self, LogFormat};

/// For what was said before a result to be written before it.
const IN_ORDER: Duration = Duration::from_secs(1);

/// Writes a result for people.
pub(super) fn print(text: &str) -> io::Result<()> {
    print_raw(&printable::lines(text))
}

/// Writes a result as it is: for what programs read. A reader that went away (`| head`) is no failure.
pub(super) fn print_raw(text: &str) -> io::Result<()> {
    telemetry::flush(IN_ORDER);
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a value as indented JSON and a line end.
pub(super) fn print_json(value: &serde_json::Value) -> io::Result<()> {
    print_raw(&printable::json(&format!("{value:#}\n")))
}

/// Writes to standard output why a command that prints JSON has no result.
pub(super) fn report_failure(error: &anyhow::Error) -> io::Result<()> {
    match error.downcast_ref::<Problems>() {
        Some(problems) => print_json(&problems.to_json()),
        None => print_json(&json!({ "ok": false, "error": format!("{error:#}") })),
    }
}

/// Writes something for people. It is lost where standard error takes nothing.
pub(super) fn say(text: &str) {
    telemetry::say(&format!("{}\n", printable::lines(text)));
}

/// Writes what went wrong and what was behind it.
pub(super) fn failure(error: &anyhow::Error) {
    say(&format!("error: {error:#}"));
}

/// The same for a command whose standard error holds nothing but JSON.
pub(super) fn failure_as(format: LogFormat, error: &anyhow::Error) {
    let Some(problems) = error.downcast_ref::<Problems>() else {
        return match format {
            LogFormat::Text => failure(error),
            LogFormat::Json => say_json("ERROR", &format!("{error:#}"), Map::new()),
        };
    };
    match problems.wants_json_log {
        false => failure(error),
        true => {
            let members = problems.to_json().as_object().cloned().unwrap_or_default();
            say_json("ERROR", "the configuration is wrong; nothing was started", members);
        }
    }
}

/// Writes an object of the same shape as a log line in JSON, whatever the log's level is.
pub(super) fn say_json(level: &str, message: &str, members: Map<String, Value>) {
    let timestamp = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    let mut line = json!({ "timestamp": timestamp, "level": level, "message": message });
    if let Some(object) = line.as_object_mut() {
        object.extend(members);
        object.insert("target".to_owned(), json!("switchyard"));
    }
    say(&line.to_string());
}

/// A line that is replaced while something takes time; silent unless a person looks.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    /// One that shows nothing.
    pub(super) fn silent() -> Self {
        Self { is_shown: false }
    }

    pub(super) fn show(&self, text: &str) {
        if self.is_shown {
            telemetry::say(&format!("\r\x1b[2K{}", printable::line(text)));
        }
    }

    pub(super) fn clear(&self) {
        self.show("");
    }
}

/// A table with columns as wide as they need to be, each row on one line.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<_>> =
        rows.iter().map(|row| row.iter().map(|cell| printable::line(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = [vec!["a".into(), "bbb".into()], vec!["cc".into(), String::new()]];
        assert_eq!(table(&rows), "  a   bbb\n  cc\n");
        assert_eq!(table(&[vec!["a\nb".into(), "c".into()]]), "  a\\nb  c\n");
    }
}
