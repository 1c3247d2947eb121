//! Balancers that are sticky by cookie.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::Method;

use super::{INITIALIZED, TOOLS, call, sse_server};

use crate::support::message::{error, result};
use crate::support::{Answer, Asked, RawBackend, Speaks, Yard};

/// The node that a balancer gives a request to: by its cookie, else the next one.
fn node(asked: &Asked, turn: &AtomicUsize) -> usize {
    let cookies = asked.headers.get("cookie").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let sticky = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("LB="));
    sticky.map_or_else(|| turn.fetch_add(1, SeqCst) % 2, |node| node.parse().unwrap())
}

/// Two nodes, each of which knows the sessions that it opened.
async fn two_nodes() -> RawBackend {
    let turn = AtomicUsize::new(0);
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let node = node(asked, &turn);
        let mut headers = vec![("set-cookie", format!("LB={node}; Path=/; HttpOnly"))];
        let id = asked.message.id.as_deref().unwrap_or("null");
        if asked.message.method == "initialize" {
            headers.push(("x-node", node.to_string()));
            return Some(Answer::Whole(200, headers, result(id, INITIALIZED).into()));
        }
        let session = asked.headers.get("mcp-session-id")?.to_str().unwrap();
        // The first session is opened at the node that did not answer the probe.
        let home = if session == "session-1" { 1 } else { 0 };
        let answer = match asked.message.method.as_str() {
            _ if node != home => {
                let gone = error("null", r#"{"code":-32001,"message":"Session not found"}"#);
                return Some(Answer::Whole(404, headers, gone.into()));
            }
            _ if asked.verb != Method::POST => return None,
            "tools/list" => result(id, &format!(r#"{{"tools":{TOOLS}}}"#)),
            _ => result(id, r#"{"content":[]}"#),
        };
        Some(Answer::Whole(200, headers, answer.into()))
    })
    .await
}

#[tokio::test]
async fn a_session_stays_at_its_node() {
    let backend = two_nodes().await;
    let yard = Yard::of(&backend.entry("raw")).await;
    for _ in 0..5 {
        call(&yard).await;
    }
    assert_eq!(backend.asked("initialize").len(), 1, "one session");
    yard.stop().await;
    let deleted = backend.requests().into_iter().find(|asked| asked.verb == Method::DELETE).unwrap();
    assert!(deleted.headers["cookie"].to_str().unwrap().starts_with("LB="), "DELETE has it too");
}

#[tokio::test]
async fn a_stream_of_http_sse_and_its_posts_share_cookies_and_no_other_backend_sees_them() {
    let backend = sse_server::start("/messages/{}", |asked, streams| {
        if asked.verb == Method::GET {
            let Answer::Stream(stream) = sse_server::open("/messages/{}", streams) else { unreachable!() };
            return Some(Answer::CookieStream("LB=7; Path=/".to_owned(), stream));
        }
        let sticky = asked.headers.get("cookie").is_some_and(|cookie| cookie == "LB=7");
        (!sticky).then(|| Answer::Http(404, "no such session".to_owned()))
    })
    .await;
    let other = RawBackend::start_on(crate::support::port::listener().await, Speaks::Legacy, TOOLS, |_| None);
    let yard = Yard::of(&(sse_server::entry(&backend) + &other.entry("other"))).await;
    call(&yard).await;
    assert!(!other.requests().is_empty());
    assert!(other.requests().iter().all(|asked| !asked.headers.contains_key("cookie")));
}

#[tokio::test]
async fn principals_do_not_share_cookies() {
    let count = AtomicUsize::new(0);
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        (asked.message.method == "initialize").then(|| {
            let cookie = format!("who={}; Path=/", count.fetch_add(1, SeqCst));
            let id = asked.message.id.as_deref().unwrap();
            Answer::Whole(200, vec![("set-cookie", cookie)], Bytes::from(result(id, INITIALIZED)))
        })
    })
    .await;
    let yard = Yard::of(&backend.entry_with("raw", "type: http, connections: { mode: per_session }")).await;
    for _ in 0..2 {
        let client = crate::support::Client::legacy(&yard.url).await;
        assert!(client.call("raw__echo", "{}").await.result.is_some());
    }
    let seen: std::collections::BTreeSet<_> = backend
        .asked("tools/call")
        .into_iter()
        .map(|asked| asked.headers["cookie"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
}
