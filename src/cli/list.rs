//! `switchyard list`

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::catalog::Audience;
use crate::printable;
use crate::protocol::{ListKind, RawJson};
use crate::router::Router;

use super::output::{print, print_json, table};
use super::reach::{Target, reach};
use super::terminal::{cut, width};

/// Least width of a description, however narrow the terminal.
const LEAST_WIDTH: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What to list
    #[arg(value_enum, default_value_t = Kind::Tools)]
    kind: Kind,
    /// Print a JSON array of the entries as clients get them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl From<Kind> for ListKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tools => Self::Tools,
            Kind::Prompts => Self::Prompts,
            Kind::Resources => Self::Resources,
            Kind::Templates => Self::ResourceTemplates,
        }
    }
}

pub(super) async fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let gateway = reach(file, &options.target).await?;
    let entries = entries(gateway.router(), options.kind.into());
    gateway.stop().await;
    let entries = entries?;
    if options.json {
        print_json(&Value::Array(entries))?;
    } else {
        let rows: Vec<_> = entries.iter().map(row).collect();
        print(&table(&fitted(rows, width())))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All pages of a list.
fn entries(router: &Router, kind: ListKind) -> anyhow::Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = router.catalog().page(kind, Audience::ALL, cursor.as_deref())?;
        entries
            .extend(RawJson::parse(page.entries)?.elements().iter().filter_map(|entry| entry.to::<Value>()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(entries);
        }
    }
}

fn row(entry: &Value) -> Vec<String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let name = text("uri").or_else(|| text("uriTemplate")).or_else(|| text("name")).unwrap_or_default();
    let description = text("description").or_else(|| text("title")).unwrap_or_default();
    let line = description.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    vec![line_of(name), line_of(line.trim())]
}

fn line_of(text: &str) -> String {
    printable::line(text).into_owned()
}

/// The rows with descriptions cut to what a terminal of this `width` has beside the names.
fn fitted(mut rows: Vec<Vec<String>>, width: Option<usize>) -> Vec<Vec<String>> {
    let Some(width) = width else { return rows };
    let names = rows.iter().filter_map(|row| row.first()).map(|name| name.chars().count()).max();
    let rest = width.saturating_sub(names.unwrap_or_default() + 4).max(LEAST_WIDTH);
    for description in rows.iter_mut().filter_map(|row| row.get_mut(1)) {
        *description = cut(description, rest);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn descriptions_are_cut_to_the_terminal_and_not_at_all_without_one() {
        let tool = json!({"name": "find", "description": "\nFinds one customer by its name.\nAnd more."});
        let shown = |width| fitted(vec![row(&tool)], width).remove(0).remove(1);
        assert_eq!(shown(None), "Finds one customer by its name.");
        assert_eq!(shown(Some(80)), "Finds one customer by its name.");
        assert_eq!(shown(Some(35)), "Finds one customer by its…");
        assert_eq!(shown(Some(1)), "Finds one customer…");
    }

    #[test]
    fn a_uri_of_a_backend_stays_on_its_line() {
        assert_eq!(row(&json!({"uri": "x://\u{1b}[2J\nfake"})), ["x://\\u{1b}[2J\\nfake", ""]);
    }
}
