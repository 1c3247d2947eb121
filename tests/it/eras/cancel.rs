//! A call that its client gives up, given up at the backend in the way of the backend's era.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::support::client::Events;
use crate::support::gateway::raw_stdio_entry;
use crate::support::message::notification;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually, member, within};

const TOOLS: &str = r#"[{"name":"wait","inputSchema":{"type":"object"}}]"#;
const WAIT: &str = r#""name":"raw__wait","arguments":{}"#;

/// A backend that sends progress and then nothing, and tells when its stream is closed.
async fn waiting(speaks: Speaks) -> (RawBackend, mpsc::Receiver<()>) {
    waiting_unless(speaks, |_| None).await
}

/// The same, with answers of its own to some of what it is asked.
async fn waiting_unless(
    speaks: Speaks,
    script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
) -> (RawBackend, mpsc::Receiver<()>) {
    let (closed, when_closed) = mpsc::channel(1);
    let backend = RawBackend::start(speaks, TOOLS, move |asked| {
        if let Some(answer) = script(asked) {
            return Some(answer);
        }
        let token = member(&asked.message.param("_meta")?, "progressToken")?;
        let (events, stream) = mpsc::channel(1);
        let progress =
            notification("notifications/progress", &format!(r#"{{"progressToken":{token},"progress":1}}"#));
        let closed = closed.clone();
        tokio::spawn(async move {
            events.send(progress).await.unwrap();
            events.closed().await;
            let _ = closed.send(()).await;
        });
        Some(Answer::Events(stream))
    })
    .await;
    (backend, when_closed)
}

/// Makes a call and reads its first progress: from then on it surely runs.
async fn begin(client: &Client, id: &str) -> Events {
    let request = client.request(id, "tools/call", WAIT, r#""progressToken":"p""#);
    let mut events = Events::of(within("a response", request.send()).await.unwrap());
    let progress = events.next().await.unwrap();
    assert_eq!(progress.param("progressToken").as_deref(), Some(r#""p""#));
    events
}

#[tokio::test]
async fn a_modern_client_that_closes_the_stream_closes_it_at_a_modern_backend() {
    let (backend, mut closed) = waiting(Speaks::Modern).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    drop(begin(&Client::modern(&yard.url), "1").await);
    within("the end of the backend's stream", closed.recv()).await.unwrap();
    assert!(backend.asked("notifications/cancelled").is_empty(), "the stream's end says it all");
}

#[tokio::test]
async fn a_modern_client_that_closes_the_stream_cancels_at_a_legacy_backend_under_its_own_id() {
    let (backend, mut closed) = waiting(Speaks::Legacy).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    drop(begin(&Client::modern(&yard.url), "1").await);
    assert_cancelled(&backend).await;
    within("the end of the backend's stream", closed.recv()).await.unwrap();
}

#[tokio::test]
async fn a_legacy_clients_notification_cancels_at_a_legacy_backend_and_closes_a_modern_ones_stream() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let (backend, mut closed) = waiting(speaks).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::legacy(&yard.url).await;
        let mut events = begin(&client, r#""x""#).await;
        cancel(&client, r#""x""#).await;
        assert!(events.next().await.is_none(), "a cancelled call has no answer");
        within("the end of the backend's stream", closed.recv()).await.unwrap();
        if speaks == Speaks::Legacy {
            assert_cancelled(&backend).await;
        }
    }
}

#[tokio::test]
async fn a_legacy_client_that_merely_goes_away_cancels_nothing() {
    let answered = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&answered);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        (asked.message.method == "tools/call").then(|| {
            let (answer, stream) = mpsc::channel(4);
            answer.try_send(notification("notifications/progress", r#"{"progressToken":0}"#)).unwrap();
            *kept.lock() = Some((answer, asked.message.id.clone().unwrap()));
            Answer::Events(stream)
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    let sending = tokio::spawn(client.request("1", "tools/call", WAIT, "").send());
    let (answer, id) = eventually("the call", async || answered.lock().take()).await;
    sending.abort();
    assert!(sending.await.is_err_and(|end| end.is_cancelled()));
    // Another call shows that the gateway has had its time: the first one still stands.
    assert!(client.ask("tools/list", "").await.result.is_some());
    assert_eq!(yard.backend("raw").snapshot.in_flight, 1);
    answer.send(crate::support::message::result(&id, r#"{"content":[]}"#)).await.unwrap();
    eventually("the end of the call", async || (yard.backend("raw").snapshot.in_flight == 0).then_some(()))
        .await;
    assert!(backend.asked("notifications/cancelled").is_empty());
}

#[tokio::test]
async fn a_call_that_the_drain_does_not_wait_for_is_cancelled_and_the_gateway_waits_until_that_was_heard() {
    let (hear, heard) = watch::channel(false);
    let (backend, _closed) = waiting_unless(Speaks::Legacy, move |asked| {
        let mut heard = heard.clone();
        (asked.message.method == "notifications/cancelled").then(|| {
            Answer::later(async move {
                heard.wait_for(|is_heard| *is_heard).await.unwrap();
                Answer::Http(202, String::new())
            })
        })
    })
    .await;
    let entry = backend.entry_with("raw", "timeouts: { connect: 20s }");
    let yard = Yard::start(&format!("server: {{ drain: 10ms }}\nbackends:\n{entry}")).await;
    let _modern = begin(&Client::modern(&yard.url), "1").await;
    let _legacy = begin(&Client::legacy(&yard.url).await, "2").await;
    let mut stopping = tokio::spawn(yard.stop());
    let cancelled = eventually("two cancellations", async || {
        let cancelled = backend.asked("notifications/cancelled");
        (cancelled.len() == 2).then_some(cancelled)
    })
    .await;
    // No promise of the gateway's hangs on the time: one that does not wait is over within it.
    assert!(timeout(Duration::from_millis(200), &mut stopping).await.is_err(), "stopped before it was heard");
    hear.send(true).unwrap();
    within("the end of the gateway", stopping).await.unwrap();
    let mut cancelled: Vec<_> = cancelled.iter().map(|one| one.message.param("requestId")).collect();
    let mut called: Vec<_> = backend.asked("tools/call").into_iter().map(|one| one.message.id).collect();
    cancelled.sort_unstable();
    called.sort_unstable();
    assert_eq!(cancelled, called);
}

#[tokio::test]
async fn a_call_over_a_pipe_is_cancelled_under_the_backends_own_id() {
    let yard = Yard::of(&raw_stdio_entry("raw", "legacy", "")).await;
    let client = Client::legacy(&yard.url).await;
    let hanging =
        tokio::spawn(client.request("77", "tools/call", r#""name":"raw__hang","arguments":{}"#, "").send());
    let status = async || client.call("raw__cancelled", "{}").await.result_value();
    let hung = eventually("a call that hangs", async || {
        status().await["hanging"].as_array().unwrap().first().cloned()
    })
    .await;
    cancel(&client, "77").await;
    let cancelled = eventually("a cancelled call", async || {
        status().await["cancelled"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(cancelled, hung);
    within("the end of the response", hanging).await.unwrap().unwrap();
}

async fn cancel(client: &Client, id: &str) {
    client.tell(notification("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#))).await;
}

/// The one call that was made was cancelled, under the id the backend knows.
async fn assert_cancelled(backend: &RawBackend) {
    let cancelled =
        eventually("a cancellation", async || backend.asked("notifications/cancelled").pop()).await;
    let called = backend.asked("tools/call").pop().unwrap();
    assert_eq!(cancelled.message.param("requestId"), called.message.id);
}
