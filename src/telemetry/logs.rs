//! Where do log lines go? To standard error: standard output may be a transport.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use super::fields::Printable;
use super::settings::{LogFormat, LogLevel, LogSettings};
use super::sink;

/// The variable that overrides the configured level.
const VARIABLE: &str = "RUST_LOG";

/// The target of the library that watches files. It writes a line for each event, so a log in a watched directory
/// would feed itself.
const FILE_EVENTS: &str = "notify";

/// Replaces the filter of the lines that are written.
static REPLACE: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Why nothing will be logged as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The override is not a filter.
    #[error("the environment variable {VARIABLE} is not a filter such as `switchyard=debug`: {0}")]
    Filter(#[from] ParseError),
}

/// Begins to write log lines; does nothing when lines are already written.
///
/// `RUST_LOG` overrides the level, and alone can ask for the lines of libraries below warnings:
/// some of them write payloads.
///
/// # Errors
/// [`LogError`] when `RUST_LOG` is not a filter.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let over = std::env::var(VARIABLE).unwrap_or_default();
    let lines = tracing_subscriber::fmt()
        .with_writer(lines_to_stderr)
        .log_internal_errors(false)
        .with_env_filter(filter(settings.level, &over)?);
    let begun = match settings.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(colours()).fmt_fields(Printable).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map(|()| hold(move |filter| drop(handle.reload(filter))))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map(|()| hold(move |filter| drop(handle.reload(filter))))
        }
    };
    if begun.is_err() {
        tracing::debug!("log lines are already written, as was asked first");
    }
    Ok(())
}

/// Writes lines from `level` on from now on, unless `RUST_LOG` says otherwise.
pub fn set_level(level: LogLevel) {
    let over = std::env::var(VARIABLE).unwrap_or_default();
    // An override that is no filter was refused at the start.
    if let (Some(replace), Ok(filter)) = (REPLACE.get(), filter(level, &over)) {
        replace(filter);
    }
}

fn hold(replace: impl Fn(EnvFilter) + Send + Sync + 'static) {
    let _ = REPLACE.set(Box::new(replace));
}

/// Writes text for people to standard error, in order with the log lines. It is dropped where nothing takes it.
pub fn say(text: &str) {
    sink::stderr().put(text.as_bytes());
}

/// Waits until standard error took everything that was written, at most `limit`: for the end of the process.
pub fn flush(limit: Duration) {
    sink::stderr().flush(limit);
}

/// Standard error; on a terminal each line first wipes what a progress display left on its line.
fn lines_to_stderr() -> Lines {
    Lines { wipes: io::stderr().is_terminal() }
}

struct Lines {
    wipes: bool,
}

impl io::Write for Lines {
    /// Takes a whole line, as the formatter writes it. Never fails: a formatter that cannot write reports that to
    /// standard error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.wipes {
            true => sink::stderr().put(&[b"\r\x1b[2K", line].concat()),
            false => sink::stderr().put(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn filter(level: LogLevel, over: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::builder().parse(if over.trim().is_empty() { directives(level) } else { over })?;
    let is_quiet = filter.max_level_hint().is_some_and(|level| level <= LevelFilter::WARN);
    if is_quiet || over.contains(FILE_EVENTS) {
        return Ok(filter);
    }
    Ok(filter.add_directive(format!("{FILE_EVENTS}=warn").parse()?))
}

/// The verifier of certificates says what it refuses without saying whose it is; the failed connection says both.
fn directives(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error,rustls_platform_verifier=off",
        LogLevel::Warn => "warn,rustls_platform_verifier=off",
        LogLevel::Info => "warn,rustls_platform_verifier=off,switchyard=info",
        LogLevel::Debug => "warn,rustls_platform_verifier=off,switchyard=debug",
        LogLevel::Trace => "warn,rustls_platform_verifier=off,switchyard=trace",
    }
}

/// Only a person's terminal gets colours, and not against that person's wish (`NO_COLOR`).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_level_is_the_gateways_own_and_libraries_only_warn() {
        let filter = filter(LogLevel::Trace, "").unwrap();
        let mut directives: Vec<String> = filter.to_string().split(',').map(str::to_owned).collect();
        directives.sort();
        assert_eq!(directives, ["notify=warn", "rustls_platform_verifier=off", "switchyard=trace", "warn"]);
    }

    #[test]
    fn events_of_watched_files_are_logged_only_when_they_are_asked_for_by_name() {
        let directives = |over| filter(LogLevel::Info, over).unwrap().to_string();
        assert!(directives("trace").split(',').any(|directive| directive == "notify=warn"));
        assert!(!directives("trace,notify=debug").contains("notify=warn"));
    }

    #[test]
    fn the_environment_overrides_the_configured_level() {
        assert_eq!(filter(LogLevel::Trace, "error").unwrap().max_level_hint(), Some(LevelFilter::ERROR));
        assert_eq!(filter(LogLevel::Error, "  ").unwrap().max_level_hint(), Some(LevelFilter::ERROR));
    }

    #[test]
    fn an_override_that_is_no_filter_is_refused_by_name() {
        let error = LogError::from(filter(LogLevel::Info, "switchyard=loud").unwrap_err());
        assert!(error.to_string().contains("RUST_LOG"), "{error}");
    }

    #[test]
    fn a_value_stays_on_its_line_and_is_seen() {
        #[derive(Clone, Default)]
        struct Sink(std::sync::Arc<parking_lot::Mutex<Vec<u8>>>);
        impl io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = tracing_subscriber::fmt().fmt_fields(Printable).with_ansi(false);
        let lines = lines.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(lines, || {
            let evil = "a\n\x1b[2J\u{202e}";
            tracing::info!(backend = "crm", error = %evil, said = evil, "down: {evil}");
        });
        let written = String::from_utf8(sink.0.lock().clone()).unwrap();
        assert_eq!(written.matches('\n').count(), 1, "{written}");
        assert!(!written.contains(['\x1b', '\u{202e}']), "{written}");
        assert!(
            written.contains(r#"down: a\n\u{1b}[2J\u{202e} backend="crm" error=a\n\u{1b}[2J\u{202e}"#),
            "{written}"
        );
    }

    #[test]
    fn logs_can_be_begun_twice_in_one_process() {
        // What other tests of this process log from now on is no part of their result: only errors are written.
        let quiet = LogSettings { level: LogLevel::Error, ..LogSettings::default() };
        assert!(init(&quiet).is_ok());
        assert!(init(&LogSettings { format: LogFormat::Json, ..quiet }).is_ok());
    }
}
