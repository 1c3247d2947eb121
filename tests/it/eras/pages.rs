//! A person visits a page that a backend named: whoever was sent there hears when it is done, and nobody else.

use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::client::{Events, LEGACY};
use crate::support::message::{error, result};
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually, member, within};

const TOOLS: &str = r#"[{"name":"book","inputSchema":{"type":"object"}}]"#;
const CALL: &str = r#""name":"raw__book","arguments":{}"#;
const ABLE: &str = r#"{"elicitation":{"url":{}}}"#;
const COMPLETE: &str = "notifications/elicitation/complete";

fn complete(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{COMPLETE}","params":{{"elicitationId":"{id}","more":1.0}}}}"#)
}

async fn legacy(yard: &Yard) -> Client {
    Client::modern(&yard.url).able(ABLE).open(LEGACY).await
}

/// The stream of a call under way, and its id.
type Running = (mpsc::Sender<String>, String);

/// A legacy backend that sends the client to `e1` in the middle of its call; once that is answered, it tells of
/// `e1`, and of a page that it sent nobody to.
async fn asking() -> RawBackend {
    let running: Arc<Mutex<Option<Running>>> = Arc::default();
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let message = &asked.message;
        if message.method == "tools/call" {
            let (events, stream) = mpsc::channel(4);
            let params =
                r#"{"mode":"url","message":"Sign in","url":"https://a.example/1","elicitationId":"e1"}"#;
            let ask =
                format!(r#"{{"jsonrpc":"2.0","id":"ask","method":"elicitation/create","params":{params}}}"#);
            events.try_send(ask).unwrap();
            *running.lock() = Some((events, message.id.clone()?));
            return Some(Answer::Events(stream));
        }
        if message.id.as_deref() == Some(r#""ask""#) {
            let (events, id) = running.lock().take()?;
            for message in [complete("e9"), complete("e1"), result(&id, r#"{"content":[]}"#)] {
                events.try_send(message).unwrap();
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn a_page_visited_during_a_call_is_told_on_the_calls_own_stream() {
    let backend = asking().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = legacy(&yard).await;
    let request = client.request("1", "tools/call", CALL, "");
    let mut events = Events::of(within("a response", request.send()).await.unwrap());
    let asked = events.next().await.unwrap();
    assert_eq!(asked.param("elicitationId").as_deref(), Some(r#""e1""#));
    client.tell(result(&asked.id.unwrap(), r#"{"action":"accept"}"#)).await;
    let told = events.next().await.unwrap();
    assert_eq!(
        (told.method.as_str(), told.params.as_deref()),
        (COMPLETE, Some(r#"{"elicitationId":"e1","more":1.0}"#))
    );
    assert_eq!(events.next().await.unwrap().result_of("content").as_deref(), Some("[]"));
}

/// A legacy backend that wants the page visited first whose id stands in the arguments.
async fn refusing(streams: Arc<Mutex<Vec<mpsc::Sender<String>>>>) -> RawBackend {
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        if asked.verb == Method::GET {
            let (events, stream) = mpsc::channel(8);
            streams.lock().push(events);
            return Some(Answer::Events(stream));
        }
        let arguments = asked.message.param("arguments")?;
        let page = format!(
            r#"{{"mode":"url","message":"Sign in","url":"https://a.example/1","elicitationId":{}}}"#,
            member(&arguments, "id")?
        );
        let visit = format!(r#"{{"code":-32042,"message":"sign in","data":{{"elicitations":[{page}]}}}}"#);
        Some(Answer::Http(200, error(asked.message.id.as_ref()?, &visit)))
    })
    .await
}

#[tokio::test]
async fn a_page_visited_after_the_call_is_told_to_the_session_that_was_sent_there() {
    let streams: Arc<Mutex<Vec<mpsc::Sender<String>>>> = Arc::default();
    let backend = refusing(Arc::clone(&streams)).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let mut listening = Vec::new();
    for id in ["ann", "bob"] {
        let client = legacy(&yard).await;
        let get = client.verb(Method::GET).header("accept", "text/event-stream");
        let events = Events::of(within("a stream", get.send()).await.unwrap());
        let told = client.call("raw__book", &format!(r#"{{"id":"{id}"}}"#)).await;
        assert_eq!(told.error_value()["code"], -32042);
        listening.push((client, events, id));
    }
    // A session of the gateway's for calls that may be asked something, beside the one for all.
    eventually("the backend is listened to", async || (streams.lock().len() >= 2).then_some(())).await;
    for id in ["bob", "nobody", "ann"] {
        streams.lock().iter().for_each(|stream| stream.try_send(complete(id)).unwrap());
    }
    for (_client, events, id) in &mut listening {
        let told = events.next().await.unwrap();
        assert_eq!(told.method, COMPLETE);
        assert_eq!(told.param("elicitationId"), Some(format!(r#""{id}""#)), "its own, and first of all");
    }
}

/// A modern backend that sends the client to a page before it does the work.
fn sending(asked: &Asked) -> Option<Answer> {
    if asked.message.method != "tools/call" {
        return None;
    }
    Some(Answer::Result(match asked.message.param("inputResponses") {
        None => r#"{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"mode":"url","message":"Sign in","url":"https://a.example/1"}}},"requestState":"s"}"#.to_owned(),
        Some(_) => r#"{"resultType":"complete","content":[]}"#.to_owned(),
    }))
}

#[tokio::test]
async fn a_legacy_client_hears_that_a_modern_backends_page_is_done_before_its_answer_unless_it_declined() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, sending).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for action in ["accept", "decline"] {
        let client = legacy(&yard).await;
        let request = client.request("1", "tools/call", CALL, "");
        let mut events = Events::of(within("a response", request.send()).await.unwrap());
        let asked = events.next().await.unwrap();
        let id = asked.param("elicitationId").unwrap();
        client.tell(result(&asked.id.unwrap(), &format!(r#"{{"action":"{action}"}}"#))).await;
        if action == "accept" {
            let told = events.next().await.unwrap();
            assert_eq!((told.method.as_str(), told.param("elicitationId")), (COMPLETE, Some(id)));
        }
        assert_eq!(events.next().await.unwrap().result_of("content").as_deref(), Some("[]"));
    }
}
