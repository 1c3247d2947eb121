//! Servers that forgot a session, or only seem to say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::Method;

use super::{INITIALIZED, TOOLS, UNKNOWN, call, sse_server};
use crate::support::message::{error, result};
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually};

const CALLS_TO_FORGET_AFTER: usize = 1;

/// A server that forgets its first session after one call, and says so as `say` does, given the request's id.
async fn forgetful(say: fn(&str) -> Answer) -> RawBackend {
    let (opened, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        if asked.message.method == "initialize" {
            opened.fetch_add(1, SeqCst);
            return None;
        }
        let session = asked.headers.get("mcp-session-id")?.to_str().unwrap();
        let is_first = session == "session-1";
        if is_first && calls.load(SeqCst) >= CALLS_TO_FORGET_AFTER {
            return Some(say(asked.message.id.as_deref().unwrap_or("null")));
        }
        if asked.message.method == "tools/call" {
            calls.fetch_add(1, SeqCst);
        }
        None
    })
    .await
}

#[tokio::test]
async fn a_lost_session_is_opened_again_however_the_server_says_so() {
    const NO_SESSION: &str = r#"{"code":-32000,"message":"Bad Request: No valid session ID provided"}"#;
    let sayings: [fn(&str) -> Answer; 9] = [
        |_| Answer::Http(404, String::new()),
        |_| Answer::Http(404, error("null", r#"{"code":-32001,"message":"Session not found"}"#)),
        |_| Answer::Http(400, error("null", NO_SESSION)),
        |_| Answer::Http(400, "Invalid session ID".to_owned()),
        |id| Answer::Http(400, error(id, NO_SESSION)),
        |_| Answer::Http(410, "gone".to_owned()),
        |id| {
            let told = r#"{"code":-32602,"message":"Received request before initialization was complete"}"#;
            Answer::Http(200, error(id, told))
        },
        |id| Answer::Http(200, error(id, r#"{"code":-32600,"message":"session expired"}"#)),
        |_| Answer::Http(200, error("null", r#"{"code":-32001,"message":"Unknown session"}"#)),
    ];
    for (n, say) in sayings.into_iter().enumerate() {
        let backend = forgetful(say).await;
        let yard = Yard::of(&backend.entry("raw")).await;
        call(&yard).await;
        call(&yard).await;
        call(&yard).await;
        assert_eq!(backend.asked("initialize").len(), 2, "saying {n}");
        let called = backend.asked("tools/call");
        let in_second = called.iter().filter(|asked| asked.headers["mcp-session-id"] == "session-2").count();
        assert_eq!((called.len(), in_second), (4, 2), "saying {n}");
        assert_eq!(yard.backend("raw").snapshot.restarts, 0);
    }
}

#[tokio::test]
async fn an_answer_that_comes_with_404_ends_no_session() {
    for own_id in [true, false] {
        let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
            let known = ["initialize", "tools/list", "tools/call", ""];
            let is_unknown = asked.verb == Method::POST && !known.contains(&asked.message.method.as_str());
            let id = asked.message.id.as_deref()?;
            is_unknown.then(|| Answer::Http(404, error(if own_id { id } else { "null" }, UNKNOWN)))
        })
        .await;
        let yard = Yard::of(&backend.entry("raw")).await;
        call(&yard).await;
        let client = Client::modern(&yard.url);
        let members = r#""ref":{"type":"ref/prompt","name":"raw__p"},"argument":{"name":"a","value":""}"#;
        for _ in 0..2 {
            client.ask("completion/complete", members).await;
        }
        call(&yard).await;
        assert_eq!(backend.asked("initialize").len(), 1);
        assert_eq!(yard.backend("raw").snapshot.era, Some("legacy"));
    }
}

#[tokio::test]
async fn a_tool_that_has_sessions_of_its_own_ends_none() {
    for status in [200, 400, 404] {
        let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
            let id = asked.message.id.as_deref()?;
            (asked.message.method == "tools/call").then(|| {
                Answer::Http(status, error(id, r#"{"code":-32602,"message":"browser session not found"}"#))
            })
        })
        .await;
        let yard = Yard::of(&backend.entry("raw")).await;
        for _ in 0..3 {
            let answer = Client::modern(&yard.url).call("raw__echo", "{}").await;
            assert_eq!(answer.error_value()["message"], "browser session not found");
        }
        assert_eq!(backend.asked("initialize").len(), 1);
        assert_eq!(backend.asked("tools/call").len(), 3);
        assert!(backend.asked("tools/list").len() <= 2, "it was verified once");
    }
}

#[tokio::test]
async fn a_method_that_a_new_session_refuses_too_opens_no_more_of_them() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        (asked.message.method == "tools/call").then(|| Answer::Http(404, "no such page".to_owned()))
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for _ in 0..4 {
        assert!(Client::modern(&yard.url).call("raw__echo", "{}").await.result.is_some());
    }
    assert_eq!(backend.asked("initialize").len(), 2);
}

#[tokio::test]
async fn a_session_that_cannot_be_opened_again_is_said_and_found_when_it_can() {
    let is_refusing = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&is_refusing);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        if state.load(SeqCst) == 0 || asked.verb != Method::POST {
            return None;
        }
        let id = asked.message.id.as_deref().unwrap_or("null");
        Some(Answer::Http(400, error(id, r#"{"code":-32000,"message":"Server not initialized"}"#)))
    })
    .await;
    let yard =
        Yard::of(&backend.entry_with("raw", "type: http, restart: { backoff: 20ms, max_backoff: 50ms }"))
            .await;
    call(&yard).await;
    is_refusing.store(1, SeqCst);
    Client::modern(&yard.url).call("raw__echo", "{}").await;
    yard.until("raw", "down").await;
    is_refusing.store(0, SeqCst);
    yard.until("raw", "ready").await;
    call(&yard).await;
}

#[tokio::test]
async fn a_stream_of_http_sse_whose_session_is_lost_is_opened_again() {
    for status in [404, 400] {
        let calls = AtomicUsize::new(0);
        let backend = sse_server::start("/messages/{}", move |asked, _| {
            let is_call = asked.message.method == "tools/call" && asked.path == "/messages/0";
            (is_call && calls.fetch_add(1, SeqCst) > 0)
                .then(|| Answer::Http(status, "Could not find session".to_owned()))
        })
        .await;
        let yard = Yard::of(&sse_server::entry(&backend)).await;
        call(&yard).await;
        Client::modern(&yard.url).call("raw__echo", "{}").await;
        eventually("another stream", async || (backend.asked("initialize").len() == 2).then_some(())).await;
        yard.until("raw", "ready").await;
        call(&yard).await;
    }
}

#[tokio::test]
async fn a_lost_session_is_opened_again_where_only_what_the_gateway_asks_meets_it() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let id = asked.message.id.as_deref()?;
        let is_first = asked.headers.get("mcp-session-id").is_some_and(|session| session == "session-1");
        match asked.message.method.as_str() {
            "initialize" => Some(Answer::Http(200, result(id, INITIALIZED))),
            "tools/list" if is_first => {
                Some(Answer::Http(200, error(id, r#"{"code":-32600,"message":"Session terminated"}"#)))
            }
            _ => None,
        }
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    call(&yard).await;
    assert_eq!(backend.asked("initialize").len(), 2);
}
