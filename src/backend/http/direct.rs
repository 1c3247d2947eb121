//! Plain HTTP without a proxy: the way to a server on the same machine or in the same network.
//!
//! The library that speaks everything else costs more than all the rest of a call, so the common case goes
//! its own way, over links that are used again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use parking_lot::Mutex;
use url::{Position, Url};

use super::super::{Failure, FailureKind, Sent};
use super::client::{AGENT, innermost};
use super::link::{Broken, Link};
use crate::protocol::Pieces;
use crate::threads;

/// Sends requests to one URL.
pub(super) struct Direct {
    url: Url,
    target: Uri,
    host: HeaderValue,
    limit: Duration,
    idle: Arc<Idle>,
}

/// Links that wait for their next request. Each thread that serves connections has a shelf of its own, so that a
/// link's answers wake the thread that waits for them and no other; all other threads share one.
struct Idle {
    shelves: Box<[Shelf]>,
}

/// The link used last is used first.
#[derive(Default)]
struct Shelf(Mutex<Vec<Link>>);

impl Direct {
    /// `None` where this is not the way: TLS, a proxy, credentials in the URL.
    pub(super) fn to(url: &Url, limit: Duration) -> Option<Self> {
        let is_plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        if !is_plain || is_proxied() {
            return None;
        }
        let target = url[Position::BeforePath..Position::AfterQuery].parse().ok()?;
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).ok()?;
        Some(Self { url: url.clone(), target, host, limit, idle: Arc::new(Idle::new()) })
    }

    /// Sends a request. One that a link, kept for too long, did not take is sent on another; what may have
    /// been read is never sent again.
    pub(super) async fn send(
        &self,
        method: Method,
        mut headers: HeaderMap,
        body: Pieces,
    ) -> Result<Response<DirectBody>, Failure> {
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut()) = (method, self.target.clone());
        *request.headers_mut() = headers;
        loop {
            let (mut link, is_new) = match self.idle.take() {
                Some(link) => (link, false),
                // In a box: it is big and rarely needed.
                None => (Box::pin(self.open()).await?, true),
            };
            match link.send(request).await {
                Ok(response) => {
                    let keep = Arc::clone(&self.idle);
                    return Ok(response.map(|body| DirectBody { link: Some(link), body, keep }));
                }
                Err(Broken::Unsent(again, _)) if !is_new => request = *again,
                Err(Broken::Unsent(_, error)) => return Err(lost(Sent::No, &error)),
                Err(Broken::Lost(error)) => return Err(lost(Sent::Maybe, &error)),
            }
        }
    }

    async fn open(&self) -> Result<Link, Failure> {
        let opened = Link::open(&self.url, self.limit).await;
        opened.map_err(|cause| Failure::unavailable(format!("failed to connect: {cause}")))
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Direct")
    }
}

impl Idle {
    fn new() -> Self {
        Self { shelves: (0..=threads::count()).map(|_| Shelf::default()).collect() }
    }

    fn take(&self) -> Option<Link> {
        self.shelves.get(threads::number())?.take()
    }

    /// What comes back from a health check has all shelves tidied: a thread whose clients are gone never comes by.
    fn put(&self, link: Link) {
        let number = threads::number();
        if let Some(shelf) = self.shelves.get(number) {
            shelf.put(link);
        }
        if number == 0 {
            self.shelves.iter().for_each(Shelf::tidy);
        }
    }
}

impl Shelf {
    fn take(&self) -> Option<Link> {
        let mut links = self.0.lock();
        while let Some(mut link) = links.pop() {
            if link.is_free() {
                return Some(link);
            }
        }
        None
    }

    fn put(&self, mut link: Link) {
        if !link.is_free() {
            return;
        }
        link.rest();
        self.tidy();
        self.0.lock().push(link);
    }

    /// Drops the links that nobody can use any more. The oldest come first, so one look is enough most of the time.
    fn tidy(&self) {
        let mut links = self.0.lock();
        let fresh = links.iter_mut().position(Link::is_free).unwrap_or(links.len());
        links.drain(..fresh);
    }
}

/// What a response holds. Dropped before its end, it takes its link with it.
pub(super) struct DirectBody {
    link: Option<Link>,
    body: Incoming,
    keep: Arc<Idle>,
}

impl DirectBody {
    /// The next part; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(link) = &mut self.link else { return Ok(None) };
        let chunk = link.chunk(&mut self.body).await.map_err(|error| lost(Sent::Maybe, &error))?;
        if (chunk.is_none() || self.body.is_end_stream())
            && let Some(link) = self.link.take()
        {
            self.keep.put(link);
        }
        Ok(chunk)
    }
}

fn lost(sent: Sent, error: &hyper::Error) -> Failure {
    let cause = innermost(error).unwrap_or_else(|| error.to_string());
    match sent {
        Sent::No => Failure::unavailable(format!("failed to send: {cause}")),
        Sent::Maybe => Failure::new(FailureKind::Lost, sent, format!("the connection broke: {cause}")),
    }
}

/// Whether the environment asks for a proxy, as the HTTP library reads it.
fn is_proxied() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
