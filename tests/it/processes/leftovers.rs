//! Nothing of a backend's tree survives: not the backend, not the gateway's stop, not its being killed.

use std::path::Path;

use rustix::process::Signal;

use super::{prolific, sleeping, some_time};
use crate::support::process::{Serving, guardian, is_alive, signal};
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
