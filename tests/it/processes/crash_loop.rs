//! A process that ends whenever it is started.

use std::path::Path;

use super::{sleeping, some_time};
use crate::support::{Client, Yard, eventually};

fn starts(file: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|pid| pid.parse().unwrap()).collect()
}

#[tokio::test]
async fn it_is_started_five_times_and_then_held_with_a_reason_until_somebody_says_otherwise() {
    let (directory, sleep) = (tempfile::tempdir().unwrap(), some_time(5));
    let file = directory.path().join("starts");
    // It ends of its first line, as old servers do that fall over a method they do not know.
    let script = format!(
        "echo $$ >> {}; (setsid sleep {sleep} >/dev/null 2>&1 &); read line; echo no database >&2; exit 7",
        file.display()
    );
    let entry = format!(
        "  crashing: {{ command: sh, args: [-c, \"{script}\"], restart: {{ backoff: 1ms, max_backoff: 1ms }} }}\n"
    );
    let yard = Yard::of(&entry).await;
    let held = eventually("a hold", async || yard.backend("crashing").snapshot.held).await;
    assert!(held.contains("5 times within a minute") && held.contains("reload"), "{held}");
    assert_eq!(starts(&file).len(), 5);
    let snapshot = eventually("the reason", async || {
        Some(yard.backend("crashing").snapshot).filter(|snapshot| snapshot.retry_after_ms.is_some())
    })
    .await;
    assert!(snapshot.retry_after_ms.is_some_and(|wait| wait > 50_000), "{snapshot:?}");
    assert!(snapshot.last_error.unwrap().contains("exited with code 7"));
    assert_eq!(snapshot.stderr.last().map(String::as_str), Some("no database"));
    for pid in starts(&file) {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} was not reaped");
    }
    eventually("the end of all that it started", async || sleeping(sleep).is_empty().then_some(())).await;
    let failure = &Client::modern(&yard.url).call("crashing__x", "{}").await.error_value()["data"];
    assert_eq!(failure["error"], "backend_unavailable", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("exited with code 7"), "{failure}");

    yard.router.backends()[0].release();
    eventually("five more", async || (starts(&file).len() == 10).then_some(())).await;
    eventually("another hold", async || yard.backend("crashing").snapshot.held).await;
    assert_eq!(starts(&file).len(), 10);
}

#[tokio::test]
async fn one_that_falls_over_the_probe_and_refuses_without_it_is_started_no_oftener_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let (file, server) = (directory.path().join("starts"), directory.path().join("server"));
    let error = r#"{"code":-32603,"message":"API_KEY is missing"}"#;
    let script = format!(
        r#"echo $$ >> {}
read -r line
case $line in *server/discover*) exit 7 ;; esac
id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
printf '{{"jsonrpc":"2.0","id":%s,"error":{error}}}\n' "$id"
read -r line
"#,
        file.display()
    );
    std::fs::write(&server, script).unwrap();
    let restart = "restart: { backoff: 1ms, max_backoff: 1ms }";
    let yard =
        Yard::of(&format!("  keyless: {{ command: sh, args: [\"{}\"], {restart} }}\n", server.display()))
            .await;
    let snapshot = eventually("a hold", async || {
        let snapshot = yard.backend("keyless").snapshot;
        (snapshot.held.is_some() && snapshot.retry_after_ms.is_some_and(|wait| wait > 50_000))
            .then_some(snapshot)
    })
    .await;
    assert_eq!(starts(&file).len(), 5);
    assert!(
        snapshot.last_error.as_deref().is_some_and(|said| said.contains("API_KEY is missing")),
        "{snapshot:?}"
    );
}
