//! What is said beside a call and its answer: progress and logs of a legacy server on the stream that belongs to no
//! request, questions that are taken back, progress of a client on a question.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Sender};

use crate::support::client::Events;
use crate::support::message::{notification, result};
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard, eventually, member, within};

const TOOLS: &str = r#"[{"name":"work","inputSchema":{"type":"object"}}]"#;
/// The limit of a call that is extended, as the configuration of its backend has it.
const CALL_LIMIT: Duration = Duration::from_secs(3);
const ABLE: &str = r#"{"elicitation":{},"roots":{}}"#;

/// A call that waits, and where its events are sent.
type OpenCall = (Asked, Sender<String>);

/// A legacy server over HTTP that talks on its `GET` streams and leaves calls to the test.
struct Talker {
    backend: RawBackend,
    /// The streams that are open.
    streams: Arc<Mutex<Vec<Sender<String>>>>,
    /// The streams of the calls; a call is answered by what is sent there.
    calls: Arc<Mutex<Vec<OpenCall>>>,
}

impl Talker {
    /// `is_early` says whether the response of a call begins before its answer.
    async fn start(is_early: bool) -> Self {
        let (streams, calls) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (open, called) = (Arc::clone(&streams), Arc::clone(&calls));
        let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
            if asked.verb == Method::GET {
                let (sender, stream) = mpsc::channel(64);
                open.lock().push(sender);
                return Some(Answer::Events(stream));
            }
            if asked.message.method != "tools/call" {
                return None;
            }
            let (sender, mut stream) = mpsc::channel(64);
            called.lock().push((asked.clone(), sender));
            Some(match is_early {
                true => Answer::Events(stream),
                false => Answer::later(async move { Answer::Http(200, stream.recv().await.unwrap()) }),
            })
        })
        .await;
        Self { backend, streams, calls }
    }

    async fn call(&self) -> (Asked, Sender<String>) {
        eventually("a call", async || self.calls.lock().first().cloned()).await
    }

    /// Says something on each open stream that belongs to no request.
    async fn say(&self, text: &str) {
        let streams = self.streams.lock().clone();
        for stream in streams {
            let _ = stream.send(text.to_owned()).await;
        }
    }

    async fn is_heard(&self) {
        eventually("an open stream", async || (!self.streams.lock().is_empty()).then_some(())).await;
    }
}

fn token(call: &Asked) -> String {
    member(&call.message.param("_meta").unwrap(), "progressToken").unwrap()
}

/// Has a call last longer than its limit by talking beside it.
async fn call_with_talk(is_early: bool) {
    let talker = Talker::start(is_early).await;
    let yard = Yard::of(&talker.backend.entry_with("raw", "timeouts: { call: 3s }")).await;
    talker.is_heard().await;
    let client = Client::legacy(&yard.url).await;
    let members = r#""name":"raw__work","arguments":{}"#;
    let request = client.request("7", "tools/call", members, r#""progressToken":"t""#);
    let asking = tokio::spawn(request.send());
    let (call, answers) = talker.call().await;
    let progress = |token: &str, step: u32| {
        let params = format!(r#"{{"progressToken":{token},"progress":{step}}}"#);
        notification("notifications/progress", &params)
    };
    let own = format!("\"{}\"", token(&call));
    let (began, mut step) = (Instant::now(), 0);
    talker.say(&progress(&own, step)).await;
    let mut events = Events::of(within("a response", asking).await.unwrap().unwrap());
    loop {
        let event = events.next().await.unwrap();
        assert_eq!(event.method, "notifications/progress", "early: {is_early}, {event:?}");
        assert_eq!(event.param("progressToken").as_deref(), Some("\"t\""), "early: {is_early}");
        assert_eq!(event.param("progress"), Some(step.to_string()), "early: {is_early}");
        if began.elapsed() > CALL_LIMIT {
            break;
        }
        // Seven eighths of the limit are left for a machine that is busy.
        tokio::time::sleep(CALL_LIMIT / 8).await;
        step += 1;
        talker.say(&progress("999", 1)).await;
        talker.say(&progress(&own, step)).await;
    }
    talker.say(&notification("notifications/message", r#"{"level":"error","data":"x"}"#)).await;
    // The answer comes on another connection, so it is sent when the client has what was said before it.
    assert_eq!(events.next().await.unwrap().method, "notifications/message", "early: {is_early}");
    answers.send(result(call.message.id.as_deref().unwrap(), r#"{"content":[]}"#)).await.unwrap();
    drop(answers);
    talker.calls.lock().clear();
    let answer = events.next().await.unwrap();
    assert!(answer.result.is_some(), "early: {is_early}, {answer:?}");
    assert!(events.next().await.is_none(), "early: {is_early}");
}

#[tokio::test]
async fn progress_and_logs_beside_a_call_reach_its_client_and_extend_its_deadline() {
    tokio::join!(call_with_talk(true), call_with_talk(false));
}

#[tokio::test]
async fn a_question_that_its_server_takes_back_is_taken_back_from_the_client() {
    let question = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"m","requestedSchema":{{"type":"object","properties":{{}}}}}}}}"#
        )
    };
    let withdrawn = notification("notifications/cancelled", r#"{"requestId":"5","reason":"too late"}"#);
    for is_beside in [false, true] {
        let talker = Talker::start(true).await;
        let yard = Yard::of(&talker.backend.entry("raw")).await;
        let client = Arc::new(Client::modern(&yard.url).able(ABLE).open("2025-11-25").await);
        let request = client.request("7", "tools/call", r#""name":"raw__work","arguments":{}"#, "");
        let mut events =
            Events::of(within("a response", tokio::spawn(request.send())).await.unwrap().unwrap());
        let (call, own) = talker.call().await;
        for text in [&question("5"), &withdrawn] {
            match is_beside {
                true => talker.say(text).await,
                false => own.send(text.clone()).await.unwrap(),
            }
        }
        let asked = events.next().await.unwrap();
        assert_eq!(asked.method, "elicitation/create");
        let cancelled = events.next().await.unwrap();
        assert_eq!(cancelled.method, "notifications/cancelled");
        assert_eq!(cancelled.param("requestId"), asked.id, "in the client's own terms");
        assert_eq!(cancelled.param("reason").as_deref(), Some("\"too late\""));
        own.send(result(call.message.id.as_deref().unwrap(), r#"{"content":[]}"#)).await.unwrap();
        assert!(events.next().await.unwrap().result.is_some());
    }
}

#[tokio::test]
async fn progress_of_a_client_on_a_question_reaches_its_server() {
    let talker = Talker::start(true).await;
    let yard = Yard::of(&talker.backend.entry("raw")).await;
    let client = Arc::new(Client::modern(&yard.url).able(ABLE).open("2025-11-25").await);
    let request = client.request("7", "tools/call", r#""name":"raw__work","arguments":{}"#, "");
    let mut events = Events::of(within("a response", tokio::spawn(request.send())).await.unwrap().unwrap());
    let (call, own) = talker.call().await;
    let question = r#"{"jsonrpc":"2.0","id":5,"method":"roots/list","params":{"_meta":{"progressToken":"mine","x":1.0}}}"#;
    own.send(question.to_owned()).await.unwrap();
    let asked = events.next().await.unwrap();
    let meta = asked.param("_meta").unwrap();
    assert_eq!(member(&meta, "progressToken"), asked.id, "a token of this hop");
    assert_eq!(member(&meta, "x").as_deref(), Some("1.0"));

    let id = asked.id.unwrap();
    for (token, progress) in [("999", 1), (id.as_str(), 2)] {
        let params = format!(r#"{{"progressToken":{token},"progress":{progress},"message":"m"}}"#);
        client.tell(notification("notifications/progress", &params)).await;
    }
    let told = eventually("progress at the server", async || {
        talker.backend.asked("notifications/progress").first().cloned()
    })
    .await;
    assert_eq!(
        told.message.params.as_deref(),
        Some(r#"{"progressToken":"mine","progress":2,"message":"m"}"#)
    );
    client.tell(format!(r#"{{"jsonrpc":"2.0","id":"{id}","error":"no"}}"#)).await;
    let answer = eventually("an answer at the server", async || {
        let answers = talker.backend.asked("");
        answers.into_iter().find(|asked| asked.message.id.as_deref() == Some("5"))
    })
    .await;
    assert_eq!(answer.message.error.as_deref(), Some(r#"{"code":-32603,"message":"no"}"#));
    own.send(result(call.message.id.as_deref().unwrap(), r#"{"content":[]}"#)).await.unwrap();
    assert!(events.next().await.unwrap().result.is_some());
}
