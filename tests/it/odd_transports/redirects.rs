//! Servers that redirect requests: a framework's trailing slash above all.

use bytes::Bytes;
use http::Method;

use super::{TOOLS, call, reason, sse_server};

use crate::support::{Answer, Asked, RawBackend, Speaks, Yard};

fn redirect(status: u16, location: impl Into<String>) -> Answer {
    Answer::Whole(status, vec![("location", location.into())], Bytes::from_static(b"moved"))
}

fn posts_to(backend: &RawBackend, path: &str) -> usize {
    backend.requests().iter().filter(|asked| asked.verb == Method::POST && asked.path == path).count()
}

/// A server at `/mcp/` that redirects all other paths as `script` says.
async fn at_slash(
    speaks: Speaks,
    script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
) -> (RawBackend, Yard) {
    let backend = RawBackend::start(
        speaks,
        TOOLS,
        move |asked| if asked.path == "/mcp/" { None } else { script(asked) },
    )
    .await;
    let yard = Yard::of(&backend.entry_with("raw", "headers: { X-Key: k1 }, type: http")).await;
    (backend, yard)
}

#[tokio::test]
async fn posts_are_followed_with_their_method_body_and_headers_and_the_place_is_remembered() {
    for speaks in [Speaks::Legacy, Speaks::Modern] {
        let (backend, yard) = at_slash(speaks, |_| Some(redirect(307, "/mcp/"))).await;
        call(&yard).await;
        let before = posts_to(&backend, "/mcp");
        call(&yard).await;
        call(&yard).await;
        assert_eq!(posts_to(&backend, "/mcp"), before, "each call costs one request");
        let called = backend.asked("tools/call").into_iter().filter(|asked| asked.path == "/mcp/");
        let called: Vec<_> = called.collect();
        assert_eq!(called.len(), 3);
        assert!(called.iter().all(|asked| asked.headers["x-key"] == "k1" && asked.message.params.is_some()));
        let verbs: Vec<_> = backend.requests().into_iter().filter(|asked| asked.path == "/mcp/").collect();
        assert!(speaks == Speaks::Modern || verbs.iter().any(|asked| asked.verb == Method::GET));
        yard.stop().await;
        let ended =
            backend.requests().iter().any(|asked| asked.verb == Method::DELETE && asked.path == "/mcp/");
        assert_eq!(ended, speaks == Speaks::Legacy, "DELETE follows too");
    }
}

#[tokio::test]
async fn several_hops_are_followed_and_a_place_for_one_request_is_not_remembered() {
    let (backend, yard) = at_slash(Speaks::Legacy, |asked| {
        Some(match asked.path.as_str() {
            "/mcp" => redirect(308, "v2?node=1"),
            "/v2?node=1" => redirect(307, "../mcp/"),
            _ => return None,
        })
    })
    .await;
    call(&yard).await;
    call(&yard).await;
    let calls = backend.asked("tools/call");
    assert_eq!(calls.iter().filter(|asked| asked.path == "/mcp/").count(), 2);
    assert_eq!(calls.iter().filter(|asked| asked.path == "/mcp").count(), 2);
}

#[tokio::test]
async fn a_place_that_is_gone_is_asked_for_anew() {
    let backend = RawBackend::start(Speaks::Modern, TOOLS, |asked| match asked.path.as_str() {
        "/mcp" if asked.message.method == "tools/call" => Some(redirect(308, "/b")),
        "/mcp" => Some(redirect(308, "/a")),
        "/a" if asked.message.method == "tools/call" => Some(Answer::Http(410, String::new())),
        _ => None,
    })
    .await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let first = crate::support::Client::modern(&yard.url).call("raw__echo", "{}").await;
    assert_eq!(first.result_value()["isError"], true);
    call(&yard).await;
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let (backend, yard) = at_slash(Speaks::Legacy, |asked| {
        Some(redirect(307, if asked.path == "/mcp" { "/other" } else { "/mcp" }))
    })
    .await;
    assert!(reason(&yard).contains("redirects one request more than 20 times"), "{}", reason(&yard));
    let discovered = backend.asked("server/discover").len();
    assert!((21..=63).contains(&discovered), "{discovered}");
}

#[tokio::test]
async fn another_origin_is_named_and_gets_nothing() {
    let other = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
    let target = format!("{}/mcp?token=s3cret", other.origin().replace("127.0.0.1", "localhost"));
    for status in [301, 302, 303, 307, 308] {
        let location = target.clone();
        let (_backend, yard) =
            at_slash(Speaks::Legacy, move |_| Some(redirect(status, location.clone()))).await;
        let reason = reason(&yard);
        let named = target.trim_end_matches("?token=s3cret");
        assert!(reason.contains(named) && !reason.contains("s3cret"), "{reason}");
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_that_loses_the_message_is_refused_with_its_target() {
    let (_backend, yard) = at_slash(Speaks::Legacy, |_| Some(redirect(302, "/login?next=/mcp"))).await;
    let reason = reason(&yard);
    assert!(reason.contains("/login that turns a POST into a GET"), "{reason}");
}

#[tokio::test]
async fn the_stream_and_the_endpoint_of_http_sse_are_followed() {
    let backend = sse_server::start("/messages?session_id={}", |asked, _| {
        Some(match (asked.verb.clone(), asked.path.as_str()) {
            (Method::GET, "/sse") => redirect(301, "/sse/"),
            (Method::POST, "/messages?session_id=0") => redirect(307, "/messages/?session_id=0"),
            _ => return None,
        })
    })
    .await;
    let yard = Yard::of(&sse_server::entry(&backend)).await;
    call(&yard).await;
    call(&yard).await;
    assert_eq!(posts_to(&backend, "/messages?session_id=0"), 1, "the place is remembered");
    assert_eq!(backend.asked("tools/call").len(), 2);
}

#[tokio::test]
async fn an_endpoint_of_http_sse_that_leads_to_another_origin_is_refused() {
    let other = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
    let target = other.origin().replace("127.0.0.1", "localhost");
    let location = format!("{target}/messages/?session_id=0");
    let backend = sse_server::start("/messages?session_id={}", move |asked, _| {
        (asked.verb == Method::POST).then(|| redirect(307, location.clone()))
    })
    .await;
    let yard = Yard::of(&sse_server::entry(&backend)).await;
    assert!(reason(&yard).contains(&format!("{target}/messages/")), "{}", reason(&yard));
    assert!(other.requests().is_empty());
}
