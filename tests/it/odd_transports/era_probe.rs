//! Servers that do not answer `server/discover` as they should, and speak the handshake.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::{INITIALIZED, TOOLS, UNKNOWN, call, reason};
use crate::support::gateway::raw_stdio_entry;
use crate::support::message::{error, result};
use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

/// A legacy server that meets the probe with `odd`.
async fn meeting_probe_with(odd: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (RawBackend, Yard) {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let is_probe = asked.message.method == "server/discover";
        is_probe.then(|| odd(asked.message.id.as_deref().unwrap()))
    })
    .await;
    let yard = Yard::of(&backend.entry_with("raw", "type: http, timeouts: { connect: 5s }")).await;
    (backend, yard)
}

fn html(status: u16) -> Answer {
    Answer::Whole(
        status,
        vec![("content-type", "text/html".to_owned())],
        Bytes::from_static(b"<html>?</html>"),
    )
}

#[tokio::test]
async fn whatever_is_not_modern_leads_to_the_handshake() {
    for status in [400, 402, 403, 404, 405, 406, 415, 422, 429, 500, 501, 502, 503, 504, 200, 204] {
        let (_backend, yard) = meeting_probe_with(move |_| html(status)).await;
        call(&yard).await;
        assert_eq!(yard.backend("raw").snapshot.era, Some("legacy"), "{status}");
    }
    let odd: [fn(&str) -> Answer; 6] = [
        |id| Answer::Http(404, error(id, UNKNOWN)),
        |id| Answer::Http(500, error(id, r#"{"code":-32603,"message":"oops"}"#)),
        |_| Answer::Http(200, String::new()),
        |_| Answer::Events(mpsc::channel(1).1),
        |_| Answer::HangUp,
        |id| Answer::Http(200, result(id, r#"{"hello":"there"}"#)),
    ];
    for odd in odd {
        let (_backend, yard) = meeting_probe_with(odd).await;
        call(&yard).await;
        assert_eq!(yard.backend("raw").snapshot.era, Some("legacy"));
    }
}

#[tokio::test]
async fn a_server_that_is_silent_to_the_probe_is_asked_both() {
    let (_backend, yard) = meeting_probe_with(|_| Answer::never()).await;
    call(&yard).await;
    assert_eq!(yard.backend("raw").snapshot.era, Some("legacy"));
}

#[tokio::test]
async fn a_process_that_is_silent_to_the_probe_is_asked_both() {
    let yard = Yard::of(&raw_stdio_entry("raw", "silent", "timeouts: { connect: 300s, start: 300s }")).await;
    call(&yard).await;
    assert_eq!(yard.backend("raw").snapshot.era, Some("legacy"));
    assert_eq!(yard.backend("raw").snapshot.restarts, 0);
}

#[tokio::test]
async fn a_modern_server_that_is_slow_is_modern_all_the_same() {
    let asked_both = Arc::new(Notify::new());
    let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
        let id = asked.message.id.clone()?;
        if asked.message.method == "initialize" {
            asked_both.notify_one();
        }
        let is_probe = asked.message.method == "server/discover";
        is_probe.then(|| {
            let asked_both = Arc::clone(&asked_both);
            Answer::later(async move {
                asked_both.notified().await;
                let offered = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}"#;
                Answer::Http(200, result(&id, offered))
            })
        })
    })
    .await;
    let yard = Yard::of(&backend.entry_with("raw", "type: http, timeouts: { connect: 8s }")).await;
    call(&yard).await;
    assert_eq!(yard.backend("raw").snapshot.era, Some("modern"));
    assert_eq!(backend.asked("initialize").len(), 1, "it was asked both");
}

#[tokio::test]
async fn a_modern_server_that_does_not_know_the_probe_is_modern() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| {
        let is_unknown = matches!(asked.message.method.as_str(), "server/discover" | "initialize");
        let id = asked.message.id.as_deref()?;
        is_unknown.then(|| Answer::Http(404, error(id, UNKNOWN)))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    assert!(Client::modern(&yard.url).call("raw__echo", "{}").await.result.is_some());
    assert_eq!(yard.backend("raw").snapshot.era, Some("modern"));
}

#[tokio::test]
async fn if_the_handshake_fails_too_both_reasons_are_told() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| match asked.message.method.as_str() {
        "server/discover" => Some(html(501)),
        "initialize" => Some(html(500)),
        _ => None,
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let reason = reason(&yard);
    assert!(
        reason.contains("500") && reason.contains("server/discover") && reason.contains("501"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_version_that_is_refused_with_a_list_is_tried_again_from_the_list() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let id = asked.message.id.as_deref()?;
        if asked.message.method != "initialize" {
            return None;
        }
        let is_old = asked.message.param("protocolVersion").as_deref() == Some("\"2024-11-05\"");
        let refusal = r#"{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2024-11-05"],"requested":"2025-11-25"}}"#;
        Some(match is_old {
            true => Answer::Http(200, result(id, &INITIALIZED.replace("2025-11-25", "2024-11-05"))),
            false => Answer::Http(200, error(id, refusal)),
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    call(&yard).await;
    assert_eq!(backend.asked("initialize").len(), 2);
}
