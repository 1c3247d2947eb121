//! Plain HTTP without a proxy: the way to a server on the same machine or in the same network.
//!
//! The library that speaks everything else costs more than all the rest of a call, so the common case goes
//! its own way, over links that are used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

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
use super::proxy::proxy_of;
use crate::protocol::Pieces;
use crate::threads;

/// Sends requests to one origin.
pub(super) struct Direct {
    url: Url,
    host: HeaderValue,
    limit: Duration,
    idle: Arc<Idle>,
}

/// Links that wait for their next request, each on the shelf of the thread that opened it: there its answers wake the
/// call that waits for them, and no other thread. All threads that serve no connections share a shelf.
struct Idle {
    shelves: Box<[Shelf]>,
    since: Instant,
    /// The second, from `since`, in which all shelves were last tidied.
    tidied: AtomicU64,
}

/// The oldest come first.
#[derive(Default)]
struct Shelf(Mutex<Vec<Link>>);

/// A link that has rested for so long on its shelf is one more than its thread needs: another may have it for a request.
/// A server that serves one connection at a time is not asked for a second while calls come one after the other.
const RESTED: Duration = Duration::from_millis(10);

impl Direct {
    /// `None` where this is not the way: TLS, a proxy, credentials in the URL.
    pub(super) fn to(url: &Url, limit: Duration) -> Option<Self> {
        let is_plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        if !is_plain || proxy_of(url).is_some() {
            return None;
        }
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).ok()?;
        Some(Self { url: url.clone(), host, limit, idle: Arc::new(Idle::new()) })
    }

    /// Sends a request to `target`, a path and its query. One that a link, kept for too long, did not take is sent on another; what may have
    /// been read is never sent again.
    pub(super) async fn send(
        &self,
        target: Uri,
        method: Method,
        mut headers: HeaderMap,
        body: Pieces,
    ) -> Result<Response<DirectBody>, Failure> {
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut()) = (method, target);
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
        let shelves = (0..=threads::count()).map(|_| Shelf::default()).collect();
        Self { shelves, since: Instant::now(), tidied: AtomicU64::new(0) }
    }

    fn take(&self) -> Option<Link> {
        let own = self.shelves.get(threads::current())?;
        own.take_last().or_else(|| self.shelves.iter().find_map(Shelf::take_rested))
    }

    /// Once a second all shelves are tidied on the way: there are some that no call comes by any more.
    fn put(&self, mut link: Link) {
        if !link.is_free() {
            return;
        }
        link.rest();
        if let Some(shelf) = self.shelves.get(link.thread()) {
            shelf.0.lock().push(link);
        }
        let second = self.since.elapsed().as_secs();
        if self.tidied.load(Relaxed) != second {
            self.tidied.store(second, Relaxed);
            self.shelves.iter().for_each(|shelf| tidy(&mut shelf.0.lock()));
        }
    }
}

impl Shelf {
    fn take_last(&self) -> Option<Link> {
        let mut links = self.0.lock();
        while let Some(mut link) = links.pop() {
            if link.is_free() {
                return Some(link);
            }
        }
        None
    }

    fn take_rested(&self) -> Option<Link> {
        let mut links = self.0.lock();
        tidy(&mut links);
        let has_rested = links.first().is_some_and(|link| link.rested() >= RESTED);
        has_rested.then(|| links.remove(0))
    }
}

/// Drops the links that nobody can use any more.
fn tidy(links: &mut Vec<Link>) {
    let fresh = links.iter_mut().position(Link::is_free).unwrap_or(links.len());
    links.drain(..fresh);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_link_that_rests_is_lent_comes_home_and_is_let_go_when_it_is_closed() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", server.local_addr().unwrap())).unwrap();
        let (link, accepted) = tokio::join!(Link::open(&url, Duration::from_secs(5)), server.accept());
        let idle = Idle::new();
        idle.put(link.unwrap_or_else(|error| panic!("{error}")));
        let lent = loop {
            match idle.shelves[0].take_rested() {
                Some(link) => break link,
                None => yield_now().await,
            }
        };
        assert!(idle.take().is_none());
        idle.put(lent);
        assert_eq!(idle.shelves[0].0.lock().len(), 1);
        drop(accepted);
        while !idle.shelves[0].0.lock().is_empty() {
            tidy(&mut idle.shelves[0].0.lock());
            yield_now().await;
        }
    }
}
