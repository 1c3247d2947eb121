//! `switchyard call`

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use crate::printable;
use crate::protocol::{Object, RawJson, Routed, method};
use crate::router::{Caller, Event, Inbound};

use super::output::{Progress, print, print_json, print_raw, say};
use super::reach::{Target, caller, reach};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The tool, as `switchyard list` shows it
    name: String,
    /// Its arguments: a JSON object, or `-` to read one from standard input
    #[arg(default_value = "{}")]
    arguments: String,
    /// Print the whole result as JSON, not only its text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let arguments = arguments(&options.arguments)?;
    let gateway = reach(file, &options.target).await?;
    let mut params = Object::new();
    params.set("name", RawJson::of(&options.name)).set("arguments", arguments);
    let caller = Caller { progress_token: Some(RawJson::of(&"cli")), ..caller() };
    let inbound = Inbound::new(Routed::CallTool, Some(params.to_json()), caller);
    let mut exchange = gateway.router().call(inbound);
    let mut progress = CallProgress::new();
    let answer = loop {
        match exchange.next().await {
            Event::Answer(answer) => break answer,
            Event::Notification { method, params: Some(params) } if method == method::PROGRESS => {
                progress.show(&params);
            }
            Event::Notification { .. } | Event::Question { .. } | Event::Withdrawn { .. } => {}
        }
    };
    progress.clear();
    gateway.stop().await;
    match answer {
        Ok(result) => show(&result, options.json),
        Err(error) => {
            let message = error.get("message").and_then(|message| message.to::<String>()).unwrap_or_default();
            bail!("{}", printable::line(&message))
        }
    }
}

fn arguments(text: &str) -> anyhow::Result<RawJson> {
    let text = if text == "-" {
        let mut input = String::new();
        std::io::stdin()
            .read_to_string(&mut input)
            .context("failed to read the arguments from standard input")?;
        input
    } else {
        text.to_owned()
    };
    let arguments = RawJson::parse(Bytes::from(text)).context("the arguments are not valid JSON")?;
    if !arguments.is_object() {
        bail!("the arguments must be a JSON object, such as '{{\"query\": \"ada\"}}'");
    }
    Ok(arguments)
}

fn show(result: &RawJson, whole: bool) -> anyhow::Result<ExitCode> {
    let value = result.to::<Value>().unwrap_or_default();
    let failed = value.get("isError").and_then(Value::as_bool).unwrap_or(false);
    if whole {
        print_json(&value)?;
    } else {
        for block in value.get("content").and_then(Value::as_array).into_iter().flatten() {
            show_block(block, failed)?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show_block(block: &Value, failed: bool) -> std::io::Result<()> {
    let text = match block.get("text").and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => format!(
            "[{}; use --json to see it]",
            block.get("type").and_then(Value::as_str).unwrap_or("unknown block")
        ),
    };
    if failed {
        say(&text);
        return Ok(());
    }
    // Programs get what the tool wrote, byte for byte; a terminal does not act on it.
    match std::io::stdout().is_terminal() {
        true => print(&format!("{text}\n")),
        false => print_raw(&format!("{text}\n")),
    }
}

/// How far the call has come, on standard error: a line that is replaced on a terminal, at most one line a second
/// elsewhere.
struct CallProgress {
    line: Progress,
    is_terminal: bool,
    said: Option<Instant>,
}

impl CallProgress {
    const PACE: Duration = Duration::from_secs(1);

    fn new() -> Self {
        Self { line: Progress::new(), is_terminal: std::io::stderr().is_terminal(), said: None }
    }

    fn show(&mut self, params: &RawJson) {
        let Some(text) = params.to::<Value>().as_ref().and_then(progress_text) else { return };
        if self.is_terminal {
            return self.line.show(&text);
        }
        if self.said.is_none_or(|said| said.elapsed() >= Self::PACE) {
            self.said = Some(Instant::now());
            say(&printable::line(&text));
        }
    }

    fn clear(&self) {
        self.line.clear();
    }
}

/// `3 of 20: sorting`.
fn progress_text(params: &Value) -> Option<String> {
    let number = |key: &str| params.get(key).and_then(Value::as_f64);
    let done = number("progress")?;
    let total = number("total").map(|total| format!(" of {total}")).unwrap_or_default();
    let message = params.get("message").and_then(Value::as_str);
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    Some(format!("progress {done}{total}{message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_told_as_far_as_it_is_known() {
        let text = |value| progress_text(&value);
        let whole = json!({"progressToken": 1, "progress": 3, "total": 20, "message": "sorting"});
        assert_eq!(text(whole).as_deref(), Some("progress 3 of 20: sorting"));
        assert_eq!(text(json!({"progress": 0.5})).as_deref(), Some("progress 0.5"));
        assert_eq!(text(json!({"progress": "x"})), None);
    }
}
