//! How is a field of a log line written for people? On the line, and seen: values hold what backends say.

use std::fmt::{self, Write as _};

use tracing::field::Field;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::printable::OneLine;

/// Writes `message field=value …`.
pub(super) struct Printable;

impl<'writer> FormatFields<'writer> for Printable {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visit = Visit { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visit);
        visit.result
    }
}

struct Visit<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl Visit<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::replace(&mut self.is_first, false) {
            self.writer.write_char(' ')?;
        }
        match field.name() {
            "message" => {}
            name if self.writer.has_ansi_escapes() => {
                write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?
            }
            name => write!(self.writer, "{name}=")?,
        }
        OneLine(&mut self.writer).write_fmt(value)
    }
}

impl tracing::field::Visit for Visit<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let is_of_log_crate = field.name().starts_with("log.");
        if self.result.is_ok() && !is_of_log_crate {
            self.result = self.write(field, format_args!("{value:?}"));
        }
    }
}
