//! A resource changes; whoever watches it is told, whatever the eras on both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::client::Events;
use crate::support::message::notification;
use crate::support::{Answer, Asked, Client, Message, RawBackend, Speaks, Yard, eventually, within};

const UPDATED: &str = "notifications/resources/updated";
const CAPABILITIES: &str = r#"{"tools":{},"resources":{"subscribe":true}}"#;
const RESOURCES: &str = r#"{"resources":[{"uri":"a://1","name":"1"},{"uri":"a://2","name":"2"}]}"#;

/// A backend whose resources are watched.
struct Watched {
    backend: RawBackend,
    streams: Arc<Mutex<Vec<mpsc::Sender<String>>>>,
    /// How many sessions the backend has forgotten.
    forgotten: Arc<AtomicUsize>,
}

impl Watched {
    async fn start(speaks: Speaks) -> Self {
        let (streams, forgotten) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default());
        let (open, dead) = (Arc::clone(&streams), Arc::clone(&forgotten));
        let script = move |asked: &Asked| {
            let session = asked.headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
            let number =
                session.and_then(|id| id.strip_prefix("session-")?.parse().ok()).unwrap_or(usize::MAX);
            if number <= dead.load(Ordering::SeqCst) {
                return Some(Answer::Http(404, String::new()));
            }
            answer(speaks, asked, &open)
        };
        Self { backend: RawBackend::start(speaks, "[]", script).await, streams, forgotten }
    }

    /// Says on every open stream that `uri` was updated.
    async fn update(&self, uri: &str) {
        let text = notification(UPDATED, &format!(r#"{{"uri":"{uri}"}}"#));
        let streams = self.streams.lock().clone();
        for stream in streams {
            // One that the gateway has closed is none.
            let _ = stream.send(text.clone()).await;
        }
    }

    /// The URIs of all requests with this method so far.
    fn asked(&self, method: &str) -> Vec<String> {
        let asked = self.backend.asked(method).into_iter();
        asked.filter_map(|asked| asked.message.param("uri")).collect()
    }

    /// What the last `subscriptions/listen` asked for.
    fn listens_for(&self) -> Option<String> {
        self.backend.asked("subscriptions/listen").last()?.message.param("notifications")
    }

    async fn until_watched(&self, uris: &str) {
        let wanted = format!(r#"{{"resourceSubscriptions":{uris}}}"#);
        eventually(&format!("a wish for {uris}"), async || {
            (self.listens_for().as_deref() == Some(wanted.as_str())).then_some(())
        })
        .await;
    }
}

fn answer(speaks: Speaks, asked: &Asked, open: &Mutex<Vec<mpsc::Sender<String>>>) -> Option<Answer> {
    let result = |text: String| Some(Answer::Result(text));
    match asked.message.method.as_str() {
        "initialize" if speaks == Speaks::Legacy => result(format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{CAPABILITIES},"serverInfo":{{"name":"raw","version":"1"}}}}"#
        )),
        "server/discover" if speaks == Speaks::Modern => result(format!(
            r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{CAPABILITIES}}}"#
        )),
        "resources/list" => result(RESOURCES.to_owned()),
        "resources/subscribe" if asked.message.param("uri")? != "\"a://1\"" => {
            Some(Answer::Error(r#"{"code":-32000,"message":"not this one"}"#.to_owned()))
        }
        "resources/subscribe" | "resources/unsubscribe" => result("{}".to_owned()),
        "subscriptions/listen" => {
            let (sender, events) = mpsc::channel(16);
            sender.try_send(acknowledgement(&asked.message)).unwrap();
            open.lock().push(sender);
            Some(Answer::Events(events))
        }
        _ if asked.verb == http::Method::GET && speaks == Speaks::Legacy => {
            let (sender, events) = mpsc::channel(16);
            open.lock().push(sender);
            Some(Answer::Events(events))
        }
        _ => None,
    }
}

/// The backend of these tests tells of `a://1` only.
fn acknowledgement(listen: &Message) -> String {
    let is_wanted = listen.param("notifications").is_some_and(|filter| filter.contains("a://1"));
    let honoured = if is_wanted { r#"{"resourceSubscriptions":["a://1"]}"# } else { "{}" };
    let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{}}}"#, listen.id.as_deref().unwrap());
    let params = format!(r#"{{"_meta":{meta},"notifications":{honoured}}}"#);
    notification("notifications/subscriptions/acknowledged", &params)
}

/// A session that watches `a://1`, and its stream.
async fn legacy(yard: &Yard) -> (Client, Events) {
    let client = Client::legacy(&yard.url).await;
    let get = client.verb(http::Method::GET).header("accept", "text/event-stream");
    let stream = Events::of(within("a stream", get.send()).await.unwrap());
    let subscribed = client.ask("resources/subscribe", r#""uri":"a://1""#).await;
    assert_eq!(subscribed.result.as_deref(), Some("{}"));
    (client, stream)
}

/// A stream for `a://1`, and what its acknowledgement honours.
async fn modern(yard: &Yard) -> (Events, String) {
    let filter = r#""notifications":{"resourceSubscriptions":["a://1","a://2","a://3"]}"#;
    let listen = Client::modern(&yard.url).request("\"s\"", "subscriptions/listen", filter, "");
    let mut stream = Events::of(within("a stream", listen.send()).await.unwrap());
    let acknowledged = stream.next().await.unwrap();
    assert_eq!(acknowledged.method, "notifications/subscriptions/acknowledged");
    (stream, acknowledged.param("notifications").unwrap())
}

async fn told(stream: &mut Events) -> Message {
    let message = stream.next().await.unwrap();
    assert_eq!((message.method.as_str(), message.param("uri").as_deref()), (UPDATED, Some("\"a://1\"")));
    message
}

#[tokio::test]
async fn clients_of_both_eras_hear_of_a_resource_of_a_backend_of_either() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let watched = Watched::start(speaks).await;
        let yard = Yard::of(&watched.backend.entry("raw")).await;
        let (client, mut old) = legacy(&yard).await;
        let (mut new, honoured) = modern(&yard).await;
        assert_eq!(honoured, r#"{"resourceSubscriptions":["a://1"]}"#, "{speaks:?}");
        eventually("a stream to the backend", async || (!watched.streams.lock().is_empty()).then_some(()))
            .await;

        watched.update("a://2").await;
        watched.update("a://1").await;
        told(&mut old).await;
        let message = told(&mut new).await;
        let meta = r#"{"io.modelcontextprotocol/subscriptionId":"s"}"#;
        assert_eq!(message.param("_meta").as_deref(), Some(meta), "{speaks:?}");

        client.ask("resources/unsubscribe", r#""uri":"a://1""#).await.result_value();
        watched.update("a://1").await;
        told(&mut new).await;
        assert!(watched.asked("resources/unsubscribe").is_empty());
        yard.stop().await;
        let after = old.next().await;
        assert!(after.is_none(), "{after:?} after the end of the subscription");
    }
}

#[tokio::test]
async fn a_backend_is_asked_by_the_first_client_and_released_by_the_last() {
    let watched = Watched::start(Speaks::Legacy).await;
    let yard = Yard::of(&watched.backend.entry("raw")).await;
    let (client, _stream) = legacy(&yard).await;
    let (other, _) = modern(&yard).await;
    let asked = watched.asked("resources/subscribe");
    assert_eq!(asked.iter().filter(|uri| *uri == "\"a://1\"").count(), 1);
    drop(other);
    assert!(client.verb(http::Method::DELETE).send().await.unwrap().status().is_success());
    eventually("the end of the subscription", async || {
        (watched.asked("resources/unsubscribe") == ["\"a://1\""]).then_some(())
    })
    .await;

    let watched = Watched::start(Speaks::Modern).await;
    let yard = Yard::of(&watched.backend.entry("raw")).await;
    let (client, _stream) = legacy(&yard).await;
    watched.until_watched(r#"["a://1"]"#).await;
    let (other, _) = modern(&yard).await;
    watched.until_watched(r#"["a://1"]"#).await;
    let listens = watched.backend.asked("subscriptions/listen").len();
    client.ask("resources/unsubscribe", r#""uri":"a://1""#).await.result_value();
    drop(other);
    eventually("no stream", async || {
        watched.streams.lock().iter().all(mpsc::Sender::is_closed).then_some(())
    })
    .await;
    assert_eq!(watched.backend.asked("subscriptions/listen").len(), listens);
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_with_the_reason() {
    let watched = Watched::start(Speaks::Legacy).await;
    let plain = RawBackend::start(Speaks::Legacy, "[]", |asked| match asked.message.method.as_str() {
        "initialize" => Some(Answer::Result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{}},"serverInfo":{"name":"raw","version":"1"}}"#.to_owned(),
        )),
        "resources/list" => Some(Answer::Result(r#"{"resources":[{"uri":"b://1","name":"1"}]}"#.to_owned())),
        _ => None,
    })
    .await;
    let yard = Yard::of(&(watched.backend.entry("raw") + &plain.entry("plain"))).await;
    let client = Client::legacy(&yard.url).await;
    for (uri, code) in [("c://1", -32002), ("b://1", -32602), ("a://2", -32602)] {
        let refused = client.ask("resources/subscribe", &format!(r#""uri":"{uri}""#)).await.error_value();
        assert_eq!(refused["code"], code, "{uri}: {refused}");
    }
    assert_eq!(client.ask("resources/subscribe", "").await.error_value()["code"], -32602);
}

#[tokio::test]
async fn a_backend_that_forgot_its_session_is_told_again() {
    let watched = Watched::start(Speaks::Legacy).await;
    let yard = Yard::of(&watched.backend.entry("raw")).await;
    let (client, mut stream) = legacy(&yard).await;
    eventually("a stream to the backend", async || (!watched.streams.lock().is_empty()).then_some(())).await;
    watched.forgotten.store(1, Ordering::SeqCst);
    watched.streams.lock().clear();
    // Any request finds out.
    client.ask("resources/subscribe", r#""uri":"a://2""#).await.error_value();
    eventually("a subscription in the new session", async || {
        let asked = watched.backend.asked("resources/subscribe");
        let is_new = |asked: &&Asked| asked.headers["mcp-session-id"] == "session-2";
        let mut again = asked.iter().filter(is_new);
        again.any(|asked| asked.message.param("uri").as_deref() == Some("\"a://1\"")).then_some(())
    })
    .await;
    eventually("a stream in the new session", async || (!watched.streams.lock().is_empty()).then_some(()))
        .await;
    watched.update("a://1").await;
    told(&mut stream).await;
}

#[tokio::test]
async fn a_client_with_one_stream_for_everything_is_told_on_it() {
    let watched = Watched::start(Speaks::Modern).await;
    let yard = Yard::of(&watched.backend.entry("raw")).await;
    let (http, base) = (reqwest::Client::new(), format!("http://{}", yard.authority()));
    let get = http.get(format!("{base}/sse")).header("accept", "text/event-stream");
    let mut stream = Events::of(within("the stream", get.send()).await.unwrap());
    let (_, path) = stream.next_named().await.unwrap();
    let (url, params) = (format!("{base}{path}"), r#""params":{"uri":"a://1"}"#);
    let post = async |message: &str| {
        let request = http.post(&url).header("content-type", "application/json");
        let request = request.body(format!(r#"{{"jsonrpc":"2.0",{message}}}"#));
        assert_eq!(within("a message to be taken", request.send()).await.unwrap().status(), 202);
    };
    let agreed =
        r#"{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"old","version":"1"}}"#;
    post(&format!(r#""id":1,"method":"initialize","params":{agreed}"#)).await;
    let capabilities = stream.next().await.unwrap().result_value()["capabilities"].take();
    assert_eq!(capabilities["resources"]["subscribe"], true);
    post(r#""method":"notifications/initialized""#).await;
    post(&format!(r#""id":2,"method":"resources/subscribe",{params}"#)).await;
    assert_eq!(stream.next().await.unwrap().result.as_deref(), Some("{}"));
    watched.update("a://1").await;
    told(&mut stream).await;
    drop(stream);
    eventually("the end of the subscription", async || {
        watched.streams.lock().iter().all(mpsc::Sender::is_closed).then_some(())
    })
    .await;
}
