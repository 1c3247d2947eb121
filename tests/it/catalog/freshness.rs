//! A tool changes what its server lists: the next list shows it, whoever says so or nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::message::notification;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually};

/// Lists as many tools as were called for, and one more; `told` takes what it says of that, and in which session.
fn growing(
    listed: Arc<AtomicUsize>,
    told: impl Fn(&Asked) + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static {
    move |asked| {
        match asked.message.method.as_str() {
        "initialize" => Some(Answer::Result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}"#
                .to_owned(),
        )),
        "tools/list" => {
            let tool = |at| format!(r#"{{"name":"t{at}","inputSchema":{{"type":"object"}}}}"#);
            let tools: Vec<_> = (0..=listed.load(Ordering::SeqCst)).map(tool).collect();
            Some(Answer::Result(format!(r#"{{"tools":[{}],"ttlMs":0}}"#, tools.join(","))))
        }
        "tools/call" => {
            listed.fetch_add(1, Ordering::SeqCst);
            told(asked);
            None
        }
        _ => None,
    }
    }
}

#[tokio::test]
async fn lists_after_a_call_show_what_the_call_changed() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let listed = Arc::<AtomicUsize>::default();
        let backend = RawBackend::start(speaks, "[]", growing(Arc::clone(&listed), |_| ())).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::legacy(&yard.url).await;
        for _ in 0..5 {
            client.call("raw__t0", "{}").await.result_value();
            // The first list is the old one where the machine is too busy to fetch within the wait.
            eventually(&format!("the tool that a call added, {speaks:?}"), async || {
                (client.tools().await.len() == listed.load(Ordering::SeqCst) + 1).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_change_told_on_a_connection_of_a_clients_own_is_heard() {
    let streams = Arc::<Mutex<Vec<(String, mpsc::Sender<String>)>>>::default();
    let (open, listed) = (Arc::clone(&streams), Arc::<AtomicUsize>::default());
    let session = |asked: &Asked| {
        asked.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let told = Arc::clone(&streams);
    let grow = growing(Arc::clone(&listed), move |asked| {
        let text = notification("notifications/tools/list_changed", "{}");
        let own = session(asked);
        for (_, stream) in told.lock().iter().filter(|(session, _)| *session == own) {
            let _ = stream.try_send(text.clone());
        }
    });
    let backend = RawBackend::start(Speaks::Legacy, "[]", move |asked| match asked.message.method.as_str() {
        // It vouches for its lists until it says that they changed.
        "initialize" => None,
        _ if asked.verb == http::Method::GET => {
            let (sender, events) = mpsc::channel(16);
            open.lock().push((session(asked), sender));
            Some(Answer::Events(events))
        }
        _ => grow(asked),
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(r#"{"elicitation":{}}"#).open("2025-11-25").await;
    client.call("raw__t0", "{}").await.result_value();
    let call = backend.asked("tools/call").pop().unwrap();
    assert_ne!(session(&call), "session-1", "the call has a connection of its own");
    eventually("the tool that was added", async || {
        (client.tools().await.len() == listed.load(Ordering::SeqCst) + 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_does_not_list_in_time_holds_up_one_list() {
    let (listed, lists) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (grow, count) = (growing(Arc::clone(&listed), |_| ()), Arc::clone(&lists));
    let backend = RawBackend::start(Speaks::Legacy, "[]", move |asked| {
        let is_list = asked.message.method == "tools/list";
        if is_list && count.fetch_add(1, Ordering::SeqCst) > 0 {
            return Some(Answer::never());
        }
        grow(asked)
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::legacy(&yard.url).await;
    client.call("raw__t0", "{}").await.result_value();
    assert_eq!(client.tools().await, ["raw__t0"]);
    client.call("raw__t0", "{}").await.result_value();
    assert!(yard.router.settling(None).is_none());
    let due = yard.router.backends()[0].lists_due(switchyard::protocol::ListKind::Tools);
    assert_eq!(due, switchyard::backend::ListsDue::Expired, "no list waits before the next fetch");
    assert_eq!(client.tools().await, ["raw__t0"]);
}
