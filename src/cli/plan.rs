//! `switchyard plan`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::backend::TransportSettings;
use crate::catalog::{Catalog, KeptListing, Source, load};
use crate::config::{self, BackendConfig, Change, Config, Diff, Problems};
use crate::gateway::applied;
use crate::printable::line;
use crate::router::Member;

use super::output::{failure, print, print_json, report_failure};
use super::plan_tools::{self, ToolChange};
use super::reach;

/// Longest wait for a backend to be reached.
const REACH: Duration = Duration::from_secs(90);
/// What the exit code says, as other planners have it.
const CHANGES: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file that would take the place of the configuration file; that file itself unless given
    file: Option<PathBuf>,
    /// Start and reach nothing: the tools of backends that are new or altered stay unknown
    #[arg(long)]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a reload would do.
struct Plan {
    diff: Diff,
    tools: Vec<ToolChange>,
    /// Tools before and after, and their tokens.
    totals: [(usize, usize); 2],
    /// Backends whose tools are not known, and why.
    unknown: BTreeMap<String, String>,
}

pub(super) async fn run(path: &Path, options: &Options) -> ExitCode {
    match plan(path, options).await {
        Ok(plan) => show(&plan, options).unwrap_or(ExitCode::FAILURE),
        Err(error) => {
            if options.json {
                let _ = report_failure(&error);
            }
            failure(&error);
            ExitCode::FAILURE
        }
    }
}

async fn plan(path: &Path, options: &Options) -> anyhow::Result<Plan> {
    let file = options.file.as_deref().unwrap_or(path);
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let env = |name: &str| std::env::var(name).ok();
    let new = config::parse(path, &text, &env)
        .map_err(|problems| Problems { path: file.to_owned(), ..problems })?;
    let in_force = applied(&new.state_dir).context("failed to read which configuration is in force")?;
    let old = match in_force {
        Some(text) => config::parse(path, &text, &env)
            .context("failed to read again the configuration that is in force")?,
        None => nothing(path, &new),
    };
    let diff = Diff::between(&old, &new);
    let kept = load(&new.state_dir.join("catalog.json"))
        .context("failed to read the kept catalog")?
        .unwrap_or_default();
    let (reached, unknown) = match options.offline {
        true => (BTreeMap::new(), not_reached(&new, &diff, &kept)),
        false => reach_new(&new, &diff).await?,
    };
    let before = catalog(&old, &kept, &BTreeMap::new());
    let after = catalog(&new, &kept, &reached);
    let totals = [&before, &after]
        .map(|catalog| (catalog.tools().count(), catalog.tools().map(|tool| tool.tokens).sum()));
    Ok(Plan { tools: plan_tools::between(&before, &after), diff, totals, unknown })
}

/// What is in force where nothing ever was.
fn nothing(path: &Path, new: &Config) -> Config {
    let mut nothing = Config::empty(path);
    nothing.state_dir.clone_from(&new.state_dir);
    nothing
}

fn is_begun(diff: &Diff, backend: &BackendConfig) -> bool {
    matches!(diff.change_of(&backend.settings.name), Some(Change::Added | Change::Altered))
}

fn not_reached(new: &Config, diff: &Diff, kept: &BTreeMap<String, KeptListing>) -> BTreeMap<String, String> {
    let is_known =
        |one: &BackendConfig| kept.get(&one.settings.name).is_some_and(|kept| kept.identity == one.identity);
    let unknown = new.backends.iter().filter(|one| is_begun(diff, one) && !is_known(one));
    unknown.map(|one| (one.settings.name.clone(), "not asked (--offline)".to_owned())).collect()
}

type Reached = (BTreeMap<String, KeptListing>, BTreeMap<String, String>);

/// Starts what is new or altered, for long enough to learn what it offers.
async fn reach_new(new: &Config, diff: &Diff) -> anyhow::Result<Reached> {
    let mut config = new.clone();
    config.backends.retain(|backend| is_begun(diff, backend));
    if config.backends.is_empty() {
        return Ok(Reached::default());
    }
    let gateway = reach::start(config, REACH, "reaching what is new …").await?;
    let (mut reached, mut unknown) = Reached::default();
    for member in gateway.router().fleet().members() {
        let name = member.backend.name().to_owned();
        match Member::to_keep(member) {
            Some(listing) => drop(reached.insert(name, listing)),
            None => {
                let reason = member.backend.snapshot().last_error;
                unknown.insert(name, reason.unwrap_or_else(|| "no answer yet".to_owned()));
            }
        }
    }
    gateway.stop().await;
    Ok((reached, unknown))
}

/// What clients would see: of each backend what it said just now, or what was kept of it.
fn catalog(
    config: &Config,
    kept: &BTreeMap<String, KeptListing>,
    reached: &BTreeMap<String, KeptListing>,
) -> Catalog {
    let known = |backend: &BackendConfig| {
        let known = reached.get(&backend.settings.name).or_else(|| kept.get(&backend.settings.name));
        known.filter(|known| known.identity == backend.identity)
    };
    let sources: Vec<Source<'_>> = config
        .backends
        .iter()
        .filter_map(|backend| {
            Some(Source {
                exposure: &backend.exposure,
                listing: &known(backend)?.listing,
                stale: false,
                over_http: matches!(backend.settings.transport, TransportSettings::Http { .. }),
            })
        })
        .collect();
    Catalog::merge(1, &config.catalog, &sources)
}

fn show(plan: &Plan, options: &Options) -> anyhow::Result<ExitCode> {
    if options.json {
        print_json(&to_json(plan))?
    } else {
        print(&text(plan))?
    }
    let is_unreachable = !options.offline && !plan.unknown.is_empty();
    Ok(match (is_unreachable, plan.diff.is_empty()) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(CHANGES),
    })
}

fn to_json(plan: &Plan) -> serde_json::Value {
    let names = |change| plan.diff.names(change).collect::<Vec<_>>();
    let [before, after] = plan.totals;
    json!({
        "changes": !plan.diff.is_empty(),
        "backends": {
            "added": names(Change::Added),
            "removed": names(Change::Removed),
            "altered": names(Change::Altered),
            "shown_differently": names(Change::Reexposed),
            "reordered": plan.diff.is_reordered,
            "not_reached": plan.unknown,
        },
        "tools": plan.tools,
        "settings": plan.diff.settings,
        "needs_restart": plan.diff.needs_restart,
        "before": { "tools": before.0, "tokens": before.1 },
        "after": { "tools": after.0, "tokens": after.1 },
    })
}

fn text(plan: &Plan) -> String {
    let Plan { diff, tools, totals: [before, after], unknown } = plan;
    if diff.is_empty() {
        return "nothing changes\n".to_owned();
    }
    let mut lines = Vec::new();
    for (name, change) in &diff.backends {
        let (mark, what) = match change {
            Change::Added => ('+', "is started"),
            Change::Removed => ('-', "ends after its last call"),
            Change::Altered => ('~', "is begun anew; calls in flight finish on the old one"),
            Change::Reexposed => ('~', "is shown differently; its connection stays"),
        };
        lines.push(format!("{mark} backend {name}: {what}"));
    }
    lines.extend(
        unknown.iter().map(|(name, why)| format!("? backend {name}: its tools are not known: {}", line(why))),
    );
    if diff.is_reordered {
        lines.push("~ backends come in another order".to_owned());
    }
    lines.extend(tools.iter().map(|tool| line(&tool.to_string()).into_owned()));
    lines.extend(diff.settings.iter().map(|key| format!("~ {key}: in force at once")));
    lines.extend(diff.needs_restart.iter().map(|key| format!("! {key}: in force at the next start only")));
    let delta = after.1.cast_signed() - before.1.cast_signed();
    lines.push(format!(
        "\n{} → {} tools, about {} → {} tokens of a model's context ({delta:+})\n",
        before.0, after.0, before.1, after.1
    ));
    lines.join("\n")
}
