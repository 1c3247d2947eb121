//! `switchyard check`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::backend::Snapshot;
use crate::catalog::{Catalog, Namer, Severity, lint};
use crate::config::{self, Config, Problem};
use crate::printable::line;
use crate::router::{BackendStatus, Status};

use super::output::{print, print_json, report_failure, table};
use super::reach;

/// Longest wait for a backend to be reached.
const REACH: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Check the file only; start and reach nothing
    #[arg(long)]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    status: Status,
    findings: Vec<ToolFinding>,
    notes: Vec<Note>,
    /// Whether nothing stands in the way of serving.
    ok: bool,
}

/// What the file's author should know although nothing is wrong.
#[derive(Debug, Serialize)]
struct Note {
    line: usize,
    column: usize,
    message: String,
    suggestion: Option<String>,
}

fn notes(config: &Config) -> Vec<Note> {
    let note = |note: &Problem| Note {
        line: note.line,
        column: note.column,
        message: note.message.clone(),
        suggestion: note.suggestion.clone(),
    };
    config.notes.iter().map(note).collect()
}

/// One line for each note.
fn notes_text(config: &Config) -> String {
    config.notes.iter().map(|note| format!("note: {}\n", line(&note.to_string()))).collect()
}

/// What a model's API, Claude's above all, would trip over.
#[derive(Debug, Serialize)]
struct ToolFinding {
    tool: String,
    /// `refused`: the API would refuse every request that lists the tool; `advice`: it would cost.
    severity: &'static str,
    message: String,
}

pub(super) async fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let checked = async { check(config::load(file)?, options).await }.await;
    checked.or_else(|error| {
        if options.json {
            report_failure(&error)?;
        }
        Err(error)
    })
}

async fn check(config: Config, options: &Options) -> anyhow::Result<ExitCode> {
    let file = config.path.display().to_string();
    if options.offline {
        if options.json {
            let backends = config.backends.len();
            print_json(&json!({ "ok": true, "file": file, "backends": backends, "notes": notes(&config) }))?;
        } else {
            let told = notes_text(&config);
            print(&format!("{file} is right: {} backends (not reached)\n{told}", config.backends.len()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let told = notes_text(&config);
    let report = reach_all(config).await?;
    if options.json {
        print_json(&json!(report))?;
    } else {
        print(&format!("{}{told}", render(&file, &report)))?;
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn reach_all(config: Config) -> anyhow::Result<Report> {
    let (namer, notes) = (Namer::new(&config.catalog), notes(&config));
    let gateway = reach::start(config, REACH, "reaching backends …").await?;
    let status = gateway.router().status();
    let findings = findings(&gateway.router().catalog(), &namer);
    gateway.stop().await;
    let ok = status.backends.iter().all(|backend| backend.snapshot.state == "ready")
        && findings.iter().all(|finding| finding.severity != "refused");
    Ok(Report { status, findings, notes, ok })
}

fn findings(catalog: &Catalog, namer: &Namer) -> Vec<ToolFinding> {
    let of_tool = |tool: &std::sync::Arc<crate::catalog::ToolEntry>| {
        let name = tool.route.qualified.to_string();
        let found = lint(&tool.entry, &name, namer);
        found.into_iter().map(move |finding| ToolFinding {
            tool: name.clone(),
            severity: match finding.severity {
                Severity::Refused => "refused",
                Severity::Advice => "advice",
            },
            message: finding.message,
        })
    };
    let unchecked =
        catalog.tools().filter(|tool| tool.validate && !tool.is_checkable()).map(|tool| ToolFinding {
            tool: tool.route.qualified.to_string(),
            severity: "advice",
            message: "`validate_arguments` has no effect: its schema cannot be used for checking".to_owned(),
        });
    catalog.tools().flat_map(of_tool).chain(unchecked).collect()
}

fn render(file: &str, report: &Report) -> String {
    let mut rows = vec![
        ["backend", "transport", "revision", "connections", "tools", "prompts", "resources", "tokens", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    for backend in &report.status.backends {
        rows.push(row(backend));
        rows.extend(backend.snapshot.replicas.iter().map(replica_row));
    }
    let mut text = format!("{file}\n\n{}", table(&rows));
    text.push_str(&shared_why(&report.status.backends));
    for warning in &report.status.warnings {
        text.push_str(&format!("\nwarning: {}", line(warning)));
    }
    for finding in &report.findings {
        let (tool, message) = (line(&finding.tool), line(&finding.message));
        text.push_str(&format!("\n{}: {tool}: {message}", finding.severity));
    }
    let tokens: usize = report.status.backends.iter().map(|backend| backend.tokens).sum();
    let tools: usize = report.status.backends.iter().map(|backend| backend.tools).sum();
    let backends = report.status.backends.len();
    let down = report.status.backends.iter().filter(|backend| backend.snapshot.state != "ready").count();
    let mut reached = match down {
        0 => format!("all {backends} backends reached"),
        down => format!("{down} of {backends} backends not reached"),
    };
    let replicas = report.status.backends.iter().flat_map(|backend| &backend.snapshot.replicas);
    match replicas.filter(|replica| replica.state != "ready").count() {
        0 => {}
        down => reached.push_str(&format!(", {down} replicas not reached")),
    }
    text.push_str(&format!("\n{tools} tools cost about {tokens} tokens of a model's context; {reached}\n"));
    text
}

/// Why connections are shared as they are, each reason once.
fn shared_why(backends: &[BackendStatus]) -> String {
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for backend in backends {
        let connections = &backend.snapshot.connections;
        reasons.entry((connections.mode, connections.why)).or_default().push(&backend.snapshot.name);
    }
    let lines = reasons
        .iter()
        .map(|((mode, why), names)| format!("\n{}: connections {mode}, {why}", names.join(", ")));
    lines.chain(["\n".to_owned()]).collect()
}

fn row(backend: &BackendStatus) -> Vec<String> {
    let snapshot = &backend.snapshot;
    vec![
        snapshot.name.clone(),
        snapshot.transport.to_owned(),
        snapshot.revision.unwrap_or("-").to_owned(),
        snapshot.connections.mode.to_owned(),
        backend.tools.to_string(),
        backend.prompts.to_string(),
        (backend.resources + backend.resource_templates).to_string(),
        backend.tokens.to_string(),
        state_of(snapshot),
    ]
}

/// Replicas stand under their backend, and say where they are and how.
fn replica_row(replica: &Snapshot) -> Vec<String> {
    let place = replica.name.split_once('@').map_or(replica.name.as_str(), |(_, place)| place);
    let revision = replica.revision.unwrap_or("-").to_owned();
    let mut row = vec![format!("  at {place}"), replica.transport.to_owned(), revision];
    row.resize(8, String::new());
    row.push(state_of(replica));
    row
}

fn state_of(snapshot: &Snapshot) -> String {
    if snapshot.state == "ready" {
        return String::new();
    }
    let reason = snapshot.last_error.as_deref().unwrap_or("no answer yet");
    let said = snapshot.said.as_ref().map(|line| format!(" (it said: {line})"));
    format!("{}: {reason}{}", snapshot.state, said.unwrap_or_default())
}
