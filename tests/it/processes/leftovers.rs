//! Nothing of a backend's tree survives: not the backend, not the gateway's stop, not its being killed.

use std::path::Path;

use rustix::process::Signal;

use super::{prolific, sleeping, some_time};
use crate::support::process::{Serving, children, guardian, is_alive, signal};
use crate::support::{Client, Yard, eventually};

fn write(directory: &Path, entry: &str) {
    let yaml =
        format!("server: {{ listen: \"127.0.0.1:0\" }}\nadmin: {{ enabled: false }}\nbackends:\n{entry}");
    std::fs::write(directory.join("gateway.yaml"), yaml).unwrap();
}

/// The program serving, once its backend and all that this starts are there; and the backend's process.
async fn serving(directory: &Path, sleep: u64) -> (Serving, u32) {
    write(directory, &prolific("tree", sleep));
    let serving = Serving::start(directory, &["serve"]);
    let client = Client::modern(&serving.said("endpoint").await);
    let pid = eventually("a server that answers", async || {
        let answer = client.call("tree__pid", "{}").await;
        answer.result.is_some().then(|| answer.result_value()["pid"].as_u64()).flatten()
    })
    .await;
    eventually("what it starts", async || (sleeping(sleep).len() == 2).then_some(())).await;
    (serving, pid.try_into().unwrap())
}

async fn nothing_left(server: u32, sleep: u64) {
    eventually("the end of the server", async || (!is_alive(server)).then_some(())).await;
    eventually("the end of what it started", async || sleeping(sleep).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_leaves_nothing_of_its_backends() {
    let (directory, sleep) = (tempfile::tempdir().unwrap(), some_time(1));
    let (serving, server) = serving(directory.path(), sleep).await;
    signal(serving.pid(), Signal::KILL);
    nothing_left(server, sleep).await;
}

#[tokio::test]
async fn a_gateway_that_stops_leaves_nothing_of_its_backends() {
    let (directory, sleep) = (tempfile::tempdir().unwrap(), some_time(2));
    let (mut serving, server) = serving(directory.path(), sleep).await;
    serving.terminate();
    assert_eq!(serving.ended().await.code(), Some(0), "{}", serving.log());
    assert!(!is_alive(server) && sleeping(sleep).is_empty());
}

#[tokio::test]
async fn a_guardian_that_is_killed_is_replaced_by_one_that_knows_as_much() {
    let (directory, sleep) = (tempfile::tempdir().unwrap(), some_time(3));
    let (serving, server) = serving(directory.path(), sleep).await;
    let gateway = serving.pid();
    let first = eventually("a guardian", async || guardian(gateway)).await;
    signal(first, Signal::KILL);
    eventually("another guardian", async || guardian(gateway).filter(|pid| *pid != first)).await;
    signal(gateway, Signal::KILL);
    nothing_left(server, sleep).await;
}

#[tokio::test]
async fn a_backend_that_is_killed_leaves_nothing_behind_while_the_gateway_goes_on() {
    let sleep = some_time(4);
    let yard = Yard::of(&prolific("tree", sleep)).await;
    let client = Client::modern(&yard.url);
    let server = client.call("tree__pid", "{}").await.result_value()["pid"].as_u64().unwrap();
    let first =
        eventually("what it starts", async || Some(sleeping(sleep)).filter(|all| all.len() == 2)).await;
    signal(server.try_into().unwrap(), Signal::KILL);
    eventually("only what another one started", async || {
        let now = sleeping(sleep);
        (now.len() == 2 && first.iter().all(|pid| !now.contains(pid))).then_some(())
    })
    .await;
    yard.stop().await;
    eventually("nothing", async || sleeping(sleep).is_empty().then_some(())).await;
}

/// A server that starts a process which hides: in a session of its own, with nothing in its environment. `rest` is what
/// the server does then.
fn hiding(sleep: u64, rest: &str) -> String {
    format!(
        "  hiding: {{ command: sh, args: [-c, \"setsid env -i sleep {sleep} >/dev/null 2>&1 & {rest}\"] }}\n"
    )
}

async fn serving_hiding(directory: &Path, sleep: u64, rest: &str) -> Serving {
    write(directory, &hiding(sleep, rest));
    let serving = Serving::start(directory, &["serve"]);
    eventually("what it starts", async || (sleeping(sleep).len() == 1).then_some(())).await;
    serving
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_hides_from_the_gateway_does_not_survive_its_stop() {
    let (directory, sleep) = (tempfile::tempdir().unwrap(), some_time(6));
    let mut serving = serving_hiding(directory.path(), sleep, "while read line; do :; done").await;
    serving.terminate();
    assert_eq!(serving.ended().await.code(), Some(0), "{}", serving.log());
    assert!(sleeping(sleep).is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_hides_does_not_survive_a_gateway_that_is_killed_while_its_parent_lives() {
    let (directory, sleep) = (tempfile::tempdir().unwrap(), some_time(7));
    let serving = serving_hiding(directory.path(), sleep, "while :; do read line || sleep 1; done").await;
    let gateway = serving.pid();
    eventually("a guardian", async || guardian(gateway)).await;
    signal(gateway, Signal::KILL);
    eventually("nothing", async || sleeping(sleep).is_empty().then_some(())).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_orphan_that_ends_is_reaped() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("(sh -c 'sleep 0.05; echo $$ > {}' &); while read line; do :; done", file.display());
    write(directory.path(), &format!("  parent: {{ command: sh, args: [-c, \"{script}\"] }}\n"));
    let _serving = Serving::start(directory.path(), &["serve"]);
    let orphan = eventually("an orphan", async || {
        std::fs::read_to_string(&file).ok().and_then(|pid| pid.trim().parse::<u32>().ok())
    })
    .await;
    eventually("no trace of it", async || (!Path::new(&format!("/proc/{orphan}")).exists()).then_some(()))
        .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_gateway_may_open_as_many_files_as_the_system_allows_and_its_children_as_many_as_before() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "  child: { command: sh, args: [-c, \"while read line; do :; done\"] }\n");
    let serving = Serving::limited(directory.path(), "ulimit -Sn 200; ulimit -Hn 1000");
    let limits = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    eventually("the gateway's limits", async || (limits(serving.pid()) == Some((1000, 1000))).then_some(()))
        .await;
    eventually("the child's limits", async || {
        let child = *children(serving.pid()).first()?;
        (limits(child) == Some((200, 1000))).then_some(())
    })
    .await;
}
