//! A backend asks something in the middle of a call: whoever asks and whoever is asked, it is answered.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::support::client::{Events, LEGACY};
use crate::support::message::{error, result};
use crate::support::{Answer, Asked, Client, Message, RawBackend, Speaks, Yard, eventually, member, within};

const TOOLS: &str =
    r#"[{"name":"book","inputSchema":{"type":"object"}},{"name":"look","inputSchema":{"type":"object"}}]"#;
const ABLE: &str = r#"{"elicitation":{}}"#;
const CALL: &str = r#""name":"raw__book","arguments":{"n":1.0}"#;
const SCHEMA: &str =
    r#"{"type":"object","properties":{"n":{"type":"number","maximum":1e400,"default":1.50}}}"#;
const GIVEN: &str = r#"{"action":"accept","content":{ "n":1.10,"m":1e400}}"#;
const STATE: &str = r#""its own st\u0061te""#;

/// The parameters of what the backends ask.
fn question() -> String {
    format!(r#"{{"message":"How many?","requestedSchema":{SCHEMA}}}"#)
}

/// The stream of a call under way, and its id.
type Running = (mpsc::Sender<String>, String);

/// A legacy backend: asks on the call's stream, and answers with what it was answered.
async fn asking_legacy() -> RawBackend {
    let running: Arc<Mutex<Option<Running>>> = Arc::default();
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let message = &asked.message;
        if message.method == "tools/call" {
            let (events, stream) = mpsc::channel(4);
            let ask = format!(
                r#"{{"jsonrpc":"2.0","id":"ask","method":"elicitation/create","params":{}}}"#,
                question()
            );
            events.try_send(ask).unwrap();
            *running.lock() = Some((events, message.id.clone()?));
            return Some(Answer::Events(stream));
        }
        if message.id.as_deref() == Some(r#""ask""#) {
            let (events, id) = running.lock().take()?;
            let given = message.result.clone().or_else(|| message.error.clone())?;
            events.try_send(result(&id, &format!(r#"{{"content":[],"given":{given}}}"#))).unwrap();
        }
        None
    })
    .await
}

/// A modern backend: wants input, and answers with what it was given.
fn asking_modern(asked: &Asked) -> Option<Answer> {
    if asked.message.method != "tools/call" {
        return None;
    }
    Some(Answer::Result(match asked.message.param("inputResponses") {
        None => format!(
            r#"{{"resultType":"input_required","inputRequests":{{"k 1":{{"method":"elicitation/create","params":{}}}}},"requestState":{STATE}}}"#,
            question()
        ),
        Some(responses) => format!(
            r#"{{"resultType":"complete","content":[],"given":{},"state":{}}}"#,
            member(&responses, "k 1")?,
            asked.message.param("requestState")?
        ),
    }))
}

/// A legacy client is asked on its call's stream, answers, and reads the result.
async fn answer_on_the_stream(yard: &Yard) -> Message {
    let client = Client::modern(&yard.url).able(ABLE).open(LEGACY).await;
    let request = client.request("1", "tools/call", CALL, "");
    let mut events = Events::of(within("a response", request.send()).await.unwrap());
    let asked = events.next().await.unwrap();
    assert_eq!(asked.method, "elicitation/create", "{asked:?}");
    assert_eq!(asked.param("requestedSchema").as_deref(), Some(SCHEMA));
    client.tell(result(&asked.id.unwrap(), GIVEN)).await;
    events.next().await.unwrap()
}

/// A modern client is told what is wanted: its key, and the state to come back with.
async fn told(client: &Client) -> (String, String) {
    let wanted = client.ask("tools/call", CALL).await;
    assert_eq!(wanted.result_of("resultType").as_deref(), Some(r#""input_required""#), "{wanted:?}");
    let requests = wanted.result_of("inputRequests").unwrap();
    let key = requests.split('"').nth(1).unwrap().to_owned();
    let request = member(&requests, &key).unwrap();
    assert_eq!(member(&request, "method").as_deref(), Some(r#""elicitation/create""#));
    assert_eq!(member(&member(&request, "params").unwrap(), "requestedSchema").as_deref(), Some(SCHEMA));
    (key, wanted.result_of("requestState").unwrap())
}

/// The same call again, with an answer.
async fn retry(client: &Client, call: &str, key: &str, state: &str) -> Message {
    let input = format!(r#"{call},"inputResponses":{{"{key}":{GIVEN}}},"requestState":{state}"#);
    client.ask("tools/call", &input).await
}

#[tokio::test]
async fn a_legacy_backend_asks_a_legacy_client() {
    let backend = asking_legacy().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let answer = answer_on_the_stream(&yard).await;
    assert_eq!(answer.result_of("given").as_deref(), Some(GIVEN));
    assert_eq!(backend.asked("tools/call").len(), 1);
}

#[tokio::test]
async fn a_legacy_backend_asks_a_modern_client_within_one_and_the_same_call() {
    let backend = asking_legacy().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let (key, state) = told(&client).await;
    let answer = retry(&client, CALL, &key, &state).await;
    assert_eq!(answer.result_of("given").as_deref(), Some(GIVEN), "{answer:?}");
    assert_eq!(backend.asked("tools/call").len(), 1);
    let again = retry(&client, CALL, &key, &state).await;
    assert_eq!(again.error_value()["code"], -32602, "a parked call is taken once");
}

#[tokio::test]
async fn a_modern_backend_asks_a_legacy_client() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, asking_modern).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let answer = answer_on_the_stream(&yard).await;
    assert_eq!(answer.result_of("given").as_deref(), Some(GIVEN));
    assert_eq!(answer.result_of("state").as_deref(), Some(STATE));
    let calls = backend.asked("tools/call");
    let [first, second] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert_ne!(first.message.id, second.message.id);
    assert_eq!(first.message.param("arguments"), second.message.param("arguments"));
}

#[tokio::test]
async fn a_modern_backend_asks_a_modern_client_and_gets_its_own_state_back() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, asking_modern).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let (key, state) = told(&client).await;
    assert_eq!(key, "k 1");
    assert_ne!(state, STATE, "a client must not see or change it");
    let answer = retry(&client, CALL, &key, &state).await;
    assert_eq!(answer.result_of("given").as_deref(), Some(GIVEN));
    let given: String = serde_json::from_str(&answer.result_of("state").unwrap()).unwrap();
    assert_eq!(given, "its own state");
}

#[tokio::test]
async fn a_state_that_is_forged_or_of_another_request_is_refused() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, asking_modern).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let (key, state) = told(&client).await;
    let calls = backend.asked("tools/call").len();
    let middle = state.len() / 2;
    let other = if &state[middle..=middle] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &state[..middle], &state[middle + 1..]);
    let elsewhere = CALL.replace("book", "look");
    let changed = CALL.replace("1.0", "2.0");
    for (call, state) in
        [(CALL, forged.as_str()), (CALL, "\"\""), (CALL, "7"), (&elsewhere, &state), (&changed, &state)]
    {
        let answer = retry(&client, call, &key, state).await;
        assert_eq!(answer.error_value()["code"], -32602, "{call} {state}");
    }
    assert_eq!(backend.asked("tools/call").len(), calls, "none of them reached the backend");
}

#[tokio::test]
async fn a_state_is_bound_to_arguments_that_no_typed_reader_takes() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, asking_modern).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let call = |n: &str| CALL.replace("1.0", n);
    let wanted = client.ask("tools/call", &call("1e400")).await;
    let state = wanted.result_of("requestState").unwrap();
    assert_eq!(retry(&client, &call("2e400"), "k 1", &state).await.error_value()["code"], -32602);
    assert!(retry(&client, &call("1e400"), "k 1", &state).await.result_of("given").is_some());
}

/// A gateway whose states another one with the same key opens: a replica, or the next process.
async fn with_a_key(entry: &str) -> Yard {
    Yard::start(&format!("sealing_keys: [a key that is long enough for anybody]\nbackends:\n{entry}")).await
}

#[tokio::test]
async fn a_state_of_another_process_takes_no_call_that_is_parked_here() {
    let (one, other) = (asking_legacy().await, asking_legacy().await);
    let (before, now) = (with_a_key(&one.entry("raw")).await, with_a_key(&other.entry("raw")).await);
    let (key, foreign) = told(&Client::modern(&before.url).able(ABLE)).await;
    let client = Client::modern(&now.url).able(ABLE);
    let (_, own) = told(&client).await;
    assert_eq!(retry(&client, CALL, &key, &foreign).await.error_value()["code"], -32602);
    assert_eq!(retry(&client, CALL, &key, &own).await.result_of("given").as_deref(), Some(GIVEN));
}

#[tokio::test]
async fn a_backends_state_is_not_given_to_another_that_has_its_name_now() {
    let modern = async || RawBackend::start(Speaks::Modern, TOOLS, asking_modern).await;
    let (one, other) = (modern().await, modern().await);
    let before = with_a_key(&one.entry("raw")).await;
    let now = with_a_key(&other.entry_with("other", "prefix: raw")).await;
    let (key, state) = told(&Client::modern(&before.url).able(ABLE)).await;
    let client = Client::modern(&now.url).able(ABLE);
    assert_eq!(retry(&client, CALL, &key, &state).await.error_value()["code"], -32602);
    assert!(other.asked("tools/call").is_empty());
}

#[tokio::test]
async fn a_client_of_an_older_revision_is_asked_in_the_form_that_it_knows() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let backend = match speaks {
            Speaks::Modern => RawBackend::start(speaks, TOOLS, asking_modern).await,
            _ => asking_legacy().await,
        };
        let yard = Yard::of(&backend.entry("raw")).await;
        let client = Client::modern(&yard.url).able(ABLE).open("2025-06-18").await;
        let request = client.request("1", "tools/call", CALL, "");
        let mut events = Events::of(within("a response", request.send()).await.unwrap());
        let asked = events.next().await.unwrap();
        let older = SCHEMA.replace(r#","default":1.50"#, "");
        assert_eq!(asked.param("requestedSchema"), Some(older), "{speaks:?}");
        client.tell(result(&asked.id.unwrap(), GIVEN)).await;
        assert_eq!(events.next().await.unwrap().result_of("given").as_deref(), Some(GIVEN));
    }
}

#[tokio::test]
async fn a_call_ends_in_time_though_its_client_comes_back_again_and_again_without_an_answer() {
    let backend = asking_legacy().await;
    let yard = Yard::of(&backend.entry_with("raw", "timeouts: { call: 1s, total: 2s }")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let (_, mut state) = told(&client).await;
    let failure = eventually("the end of the call", async || {
        let back = client.ask("tools/call", &format!(r#"{CALL},"requestState":{state}"#)).await;
        match back.result_of("requestState") {
            Some(next) => state = next,
            None => return Some(back.failure()),
        }
        None
    })
    .await;
    assert_eq!(failure["error"], "tool_timeout");
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_takes_no_place_of_another() {
    let backend = asking_legacy().await;
    let one_place = "concurrency: { in_flight: 1, queue_wait: 10ms }";
    let yard = Yard::of(&backend.entry_with("raw", one_place)).await;
    told(&Client::modern(&yard.url).able(ABLE)).await;
    let other = Client::modern(&yard.url).ask("tools/call", CALL).await;
    assert!(other.result_of("given").is_some(), "{other:?}");
}

#[tokio::test]
async fn a_question_reaches_its_client_though_its_backend_never_stops_talking() {
    const LOG: &str =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":1}}"#;
    let (answered, is_answered) = watch::channel(false);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let message = &asked.message;
        if message.id.as_deref() == Some(r#""ask""#) {
            answered.send_replace(true);
        }
        if message.method != "tools/call" {
            return None;
        }
        let (events, stream) = mpsc::channel(1);
        let (is_answered, id) = (is_answered.clone(), message.id.clone()?);
        let ask = format!(
            r#"{{"jsonrpc":"2.0","id":"ask","method":"elicitation/create","params":{}}}"#,
            question()
        );
        tokio::spawn(async move {
            let mut next = ask;
            while events.send(next).await.is_ok() && !*is_answered.borrow() {
                next = LOG.to_owned();
            }
            let _ = events.send(result(&id, r#"{"content":[],"given":true}"#)).await;
        });
        Some(Answer::Events(stream))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE);
    let (key, state) = told(&client).await;
    assert!(retry(&client, CALL, &key, &state).await.result_of("given").is_some());
}

#[tokio::test]
async fn a_backend_asks_no_more_at_a_time_than_anybody_can_answer() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let (events, stream) = mpsc::channel(64);
        for n in 0..40 {
            let ask = r#""method":"elicitation/create","params":{"message":"?","requestedSchema":{}}"#;
            events.try_send(format!(r#"{{"jsonrpc":"2.0","id":"ask{n}",{ask}}}"#)).unwrap();
        }
        (asked.message.method == "tools/call").then(|| {
            tokio::spawn(async move { events.closed().await });
            Answer::Events(stream)
        })
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let wanted = Client::modern(&yard.url).able(ABLE).ask("tools/call", CALL).await.result_value();
    assert_eq!(wanted["inputRequests"].as_object().unwrap().len(), 32);
    eventually("the refusal of all others", async || {
        let refused = backend.asked("").into_iter().filter(|asked| asked.message.error.is_some());
        (refused.count() == 8).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_not_and_the_backend_is_told() {
    let backend = asking_legacy().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
        let answer = client.ask("tools/call", CALL).await;
        let given = answer.result_of("given").unwrap();
        assert!(member(&given, "code").is_some(), "an error, not {given}");
    }
}

#[tokio::test]
async fn a_clients_refusal_reaches_a_legacy_backend_as_it_was() {
    let refusal = r#"{"code":-1,"message":"no","data":1.0}"#;
    let backend = asking_legacy().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url).able(ABLE).open(LEGACY).await;
    let request = client.request("1", "tools/call", CALL, "");
    let mut events = Events::of(within("a response", request.send()).await.unwrap());
    let asked = events.next().await.unwrap();
    client.tell(error(&asked.id.unwrap(), refusal)).await;
    assert_eq!(events.next().await.unwrap().result_of("given").as_deref(), Some(refusal));
}
