//! The configuration changes while everything is called: do the backends that were not touched notice?

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::judge::Bar;
use crate::load::Tally;
use crate::report::Report;
use crate::yard::Yard;

/// For one file to be read and applied, or refused.
const PATIENCE: Duration = Duration::from_secs(60);
/// The backend whose settings change.
const ALTERED: usize = 4;
/// What may be wrong with a file; `{n}` makes each of them another file.
const BROKEN: [&str; 10] = [
    "unknown_key_{n}: 1\n",
    "backends: [{n}]\n",
    "log: { level: shout{n} }\n",
    "server: { drain: {n} parsecs }\n",
    "catalog: { name_limit: \"{n}\" }\n",
    "defaults: { timeouts: { call: -{n}s } }\n",
    "\"never closed {n}\n",
    "a: { b{n}: [\n",
    "\tindented: {n}\n",
    "admin: { listen: nowhere:{n} }\n",
];

/// Runs both: good files, then broken ones.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let yard = Yard::start_patient(&plan.binary).await;
    report.section(
        "Reloads under load",
        "Each file adds, removes or alters a backend; or is broken in one of ten ways.",
    );
    report.columns(&[
        "files",
        "applied",
        "refused with line and column",
        "calls of untouched backends",
        "of them answered",
    ]);
    let untouched: Vec<_> = (0..yard.peers.len()).filter(|index| *index != ALTERED).collect();
    let (good, broken) = if plan.quick { (10, 10) } else { (100, 50) };

    let load = yard.load_of(&untouched, plan.rate());
    let mut applied = 0;
    for turn in 0..good {
        applied += usize::from(reload(&yard, turn).await);
    }
    let tally = Tally::of(&load.finish().await);
    report.row(&[
        good.to_string(),
        applied.to_string(),
        String::new(),
        tally.sent.to_string(),
        tally.ok.to_string(),
    ]);
    report.bar(Bar::new("reloads", "every reload applied", format!("{applied} of {good}"), applied == good));
    let measured = format!("{} of {} answered", tally.ok, tally.sent);
    report.bar(Bar::new("reloads", "0 errors on untouched backends", measured, tally.ok == tally.sent));

    let load = yard.load(plan.rate());
    let before = config(&yard).await["generation"].clone();
    let mut refused = 0;
    for turn in 0..broken {
        refused += usize::from(refuse(&yard, turn).await);
    }
    let after = config(&yard).await["generation"].clone();
    let tally = Tally::of(&load.finish().await);
    report.row(&[
        broken.to_string(),
        "0".to_owned(),
        refused.to_string(),
        tally.sent.to_string(),
        tally.ok.to_string(),
    ]);
    let measured = format!("{refused} of {broken}");
    report.bar(Bar::new("broken files", "each refused with line and column", measured, refused == broken));
    let measured = format!("{before} → {after}");
    report.bar(Bar::new("broken files", "the generation is unchanged", measured, before == after));
    let measured = format!("{} of {} answered", tally.ok, tally.sent);
    report.bar(Bar::new("broken files", "0 errors", measured, tally.ok == tally.sent));
}

/// Adds a backend, removes it again, or alters one; whether that was applied in time.
pub(crate) async fn reload(yard: &Yard, turn: usize) -> bool {
    let before = config(yard).await["generation"].as_u64().unwrap_or(0);
    let mut text = yard.config();
    if turn % 3 < 2 {
        let url = format!("http://127.0.0.1:9/added/{turn}");
        writeln!(text, "  added_{}: {{ url: \"{url}\" }}", turn % 3).unwrap();
    }
    let altered = format!("  {}: {{ ", yard.peers[ALTERED].name);
    text = text.replace(&altered, &format!("{altered}timeouts: {{ total: {}s }}, ", 30 + turn % 7));
    yard.write(&text);
    until(|| async { config(yard).await["generation"].as_u64().is_some_and(|now| now > before) }).await
}

/// Breaks the file; whether it was refused with its place.
async fn refuse(yard: &Yard, turn: usize) -> bool {
    let broken = BROKEN[turn % BROKEN.len()].replace("{n}", &(turn + 1).to_string());
    let text = match broken
        .split(':')
        .next()
        .filter(|key| ["backends", "log", "server", "catalog", "defaults", "admin"].contains(key))
    {
        Some(_) => broken.clone() + "backends: {}\n",
        None => yard.config() + &broken,
    };
    let last = config(yard).await["refused"].clone();
    yard.write(&text);
    until(|| async {
        let refused = config(yard).await["refused"].clone();
        let place = &refused["problems"][0];
        let has_place = place["line"].as_u64() > Some(0) && place["column"].as_u64() > Some(0);
        has_place && refused != last
    })
    .await
}

async fn config(yard: &Yard) -> Value {
    yard.gateway.status().await["config"].clone()
}

async fn until<F: Future<Output = bool>>(met: impl Fn() -> F) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if met().await {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}
