//! `switchyard list`

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::catalog::Audience;
use crate::protocol::{ListKind, RawJson};
use crate::router::Router;

use super::output::{print, print_json, table};
use super::reach::{Target, reach};

/// Width a description is cut to.
const DESCRIPTION: usize = 90;

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
        print(&table(&entries.iter().map(row).collect::<Vec<_>>()))?;
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
    let line = description.lines().next().unwrap_or_default();
    vec![name.to_owned(), line.chars().take(DESCRIPTION).collect()]
}
