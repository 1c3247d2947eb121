//! A backend or a client that decides how often the gateway does something: does it do it without end, and what do the
//! others notice?

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::judge::Bar;
use crate::load::Tally;
use crate::peer::Unruly;
use crate::process::descriptors;
use crate::report::Report;
use crate::yard::{HEALING, Yard};

/// How long each flood lasts.
const LENGTH: Duration = Duration::from_secs(5);
/// Lines that may be written about one flood, several attempts to connect included.
const LINES: usize = 40;
/// Descriptors beside those from before, the backend's own among them.
const SPARE_DESCRIPTORS: usize = 60;
/// Answers that may be under way to one connection, and connections that there may be in the time.
const TAKEN: usize = 4 * 40;
const QUESTIONS: usize = 100;
/// Items of an argument that fits no form: 4 MiB.
const ITEMS: usize = 300_000;

/// A server that answers the handshake and then writes lines that are no messages, for as long as it is read.
const GARBAGE: &str = r#"while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"g","version":"1"}}}\n' "$id" ;;
    *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[]}}\n' "$id"; yes '}{' ;;
    *'"id"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
  esac
done"#;

/// Runs all of them.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    report.section(
        "What comes without end",
        "One backend or client sends, asks or has checked without end; the other backends are called all the time.",
    );
    report.columns(&["what", "other calls sent", "answered", "log lines", "descriptors before → most", ""]);
    let unruly = Unruly::start().await;
    let garbage = json!({ "command": "sh", "args": ["-c", GARBAGE] }).to_string();
    judge(plan, report, "garbage on standard output", &garbage, async |yard| {
        let ended = gone(yard, "flood").await;
        sleep(LENGTH).await;
        (ended.contains("no MCP message"), ended)
    })
    .await;
    let pings = json!({ "url": format!("http://{}/pings", unruly.address) }).to_string();
    judge(plan, report, "requests on a stream", &pings, async |yard| {
        let ended = gone(yard, "flood").await;
        sleep(LENGTH).await;
        let taken = unruly.taken.load(Ordering::SeqCst);
        (taken <= TAKEN, format!("{ended}; {taken} answers taken"))
    })
    .await;
    let asking = json!({ "url": format!("http://{}/mcp", unruly.address), "connections": { "max": 8 } });
    judge(plan, report, "questions that nobody answers", &asking.to_string(), async |yard| {
        for _ in 0..QUESTIONS {
            call(yard, "ask", json!({})).await;
        }
        let echoed = call(yard, "echo", json!({})).await;
        (echoed["result"]["isError"].is_null() && echoed["result"].is_object(), "echo is served".to_owned())
    })
    .await;
    let checked = json!({ "url": format!("http://{}/mcp", unruly.address), "validate_arguments": true });
    judge(plan, report, "arguments that are expensive to check", &checked.to_string(), async |yard| {
        let items = vec![json!({ "a": -1 }); ITEMS];
        let arguments = json!({ "a": items });
        let calls = (0..4).map(|_| call(yard, "forms", arguments.clone()));
        let answers = futures(calls).await;
        let refused =
            answers.iter().filter(|answer| answer.to_string().contains("invalid_arguments")).count();
        (refused == 4, format!("{refused} of 4 refused"))
    })
    .await;
}

/// All of them, side by side.
async fn futures(calls: impl Iterator<Item = impl Future<Output = Value>>) -> Vec<Value> {
    let mut all: Vec<_> = calls.map(Box::pin).collect();
    let mut answers = Vec::new();
    while let Some(call) = all.pop() {
        match all.pop() {
            Some(other) => {
                let (one, two) = tokio::join!(call, other);
                answers.extend([one, two]);
            }
            None => answers.push(call.await),
        }
    }
    answers
}

/// Adds the backend `flood`, does `work` under load on all others, and looks what it cost.
async fn judge(
    plan: &Plan,
    report: &mut Report,
    name: &str,
    entry: &str,
    work: impl AsyncFn(&Yard) -> (bool, String),
) {
    let yard = Yard::start_patient(&plan.binary).await;
    let (pid, lines, before) = (yard.gateway.pid(), yard.gateway.said(""), descriptors(yard.gateway.pid()));
    let all: Vec<_> = (0..yard.peers.len()).collect();
    let load = yard.load_of(&all, plan.rate());
    yard.write(&format!("{}  flood: {entry}\n", yard.config()));
    known(&yard, "flood").await;
    let mut most = before;
    let mut work = std::pin::pin!(work(&yard));
    let (is_right, remark) = loop {
        tokio::select! {
            done = &mut work => break done,
            () = sleep(Duration::from_millis(20)) => most = most.max(descriptors(pid)),
        }
    };
    let others = Tally::of(&load.finish().await);
    let lines = yard.gateway.said("") - lines;
    report.row(&[
        name.to_owned(),
        others.sent.to_string(),
        others.ok.to_string(),
        lines.to_string(),
        format!("{before} → {most}"),
        remark.clone(),
    ]);
    let answered = format!("{} of {}", others.ok, others.sent);
    report.bar(Bar::new(name, "no call of the others failed", answered, others.ok == others.sent));
    report.bar(Bar::new(name, "log lines", format!("{lines} of {LINES}"), lines <= LINES));
    let spare = format!("{before} → {most}");
    report.bar(Bar::new(name, "descriptors", spare, most <= before + SPARE_DESCRIPTORS));
    report.bar(Bar::new(name, "it is bounded, with a reason", remark, is_right));
}

/// Waits until the backend is ready, or was.
async fn known(yard: &Yard, name: &str) {
    eventually(yard, name, |backend| {
        let is_known = backend["state"] == "ready" || backend["restarts"].as_u64() > Some(0);
        (is_known || backend["last_error"].is_string()).then_some(())
    })
    .await;
}

/// Why the backend was lost.
async fn gone(yard: &Yard, name: &str) -> String {
    let found = eventually(yard, name, |backend| backend["last_error"].as_str().map(str::to_owned)).await;
    found.unwrap_or_else(|| "it never ended".to_owned())
}

async fn eventually<T>(yard: &Yard, name: &str, look: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let until = Instant::now() + HEALING;
    while Instant::now() < until {
        let status = yard.gateway.status().await;
        let backend = status["backends"].as_array().into_iter().flatten().find(|one| one["name"] == name);
        if let Some(found) = backend.and_then(&look) {
            return Some(found);
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}

/// One call by a modern client that can be asked.
async fn call(yard: &Yard, tool: &str, arguments: Value) -> Value {
    let http = Client::builder().no_proxy().timeout(HEALING).build().unwrap();
    let name = format!("flood__{tool}");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
    });
    let params = json!({ "name": name, "arguments": arguments, "_meta": meta });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = http.post(&yard.gateway.url).header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    let request = request.header("mcp-protocol-version", "2026-07-28");
    let request = request.header("mcp-method", "tools/call").header("mcp-name", name);
    match request.body(message.to_string()).send().await {
        Ok(response) => {
            let text = response.text().await.unwrap_or_default();
            let event = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back();
            serde_json::from_str(event.unwrap_or(&text)).unwrap_or_default()
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}
