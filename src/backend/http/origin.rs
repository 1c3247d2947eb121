//! How do requests reach a server that redirects them, or keeps them together by cookies?
//!
//! Nothing is sent to another origin than the configured one; see [`super::redirect`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, Method, StatusCode, Uri};
use url::{Position, Url};

use super::super::{Failure, RemoteSettings, TlsSettings};
use super::client::{Client, Response};
use super::cookies::CookieJar;
use super::redirect::{self, MAX_REDIRECTS};
use super::rest::discard_rest;
use crate::protocol::Pieces;

/// A URL, and what of it goes on the wire over plain HTTP.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) url: Url,
    pub(super) uri: Uri,
}

impl Place {
    fn new(url: Url) -> Result<Self, Failure> {
        let uri = url[Position::BeforePath..Position::AfterQuery].parse();
        let uri = uri.map_err(|_| Failure::unavailable("the URL holds what HTTP cannot carry"))?;
        Ok(Self { url, uri })
    }
}

/// Where requests are meant to go, and where POSTs go since a redirect said so.
#[derive(Debug)]
pub(in super::super) struct Target {
    place: Arc<Place>,
    moved: ArcSwapOption<Place>,
}

impl Target {
    /// # Errors
    /// The URL cannot be written as HTTP wants it.
    pub(in super::super) fn new(url: Url) -> Result<Self, Failure> {
        Ok(Self { place: Arc::new(Place::new(url)?), moved: ArcSwapOption::empty() })
    }

    /// Only a POST's redirect is remembered: each call is one, and must not cost two requests. A server may
    /// answer other methods elsewhere.
    fn of(&self, method: &Method) -> (Arc<Place>, bool) {
        let moved = (method == Method::POST).then(|| self.moved.load());
        match moved.as_deref() {
            Some(Some(moved)) => (Arc::clone(moved), true),
            _ => (Arc::clone(&self.place), false),
        }
    }
}

/// Sends requests on one connection to a backend.
#[derive(Debug)]
pub(in super::super) struct OriginClient {
    client: Client,
    /// Once the backend sent the gateway from http to https.
    upgraded: OnceLock<Client>,
    cookies: CookieJar,
    tls: TlsSettings,
    connect: Duration,
}

impl OriginClient {
    /// A client for the origin of the endpoint.
    ///
    /// # Errors
    /// No TLS roots.
    pub(in super::super) fn new(remote: &RemoteSettings, connect: Duration) -> Result<Self, Failure> {
        let client = Client::new(&remote.url, &remote.tls, connect)?;
        let (upgraded, cookies, tls) = (OnceLock::new(), CookieJar::default(), remote.tls.clone());
        Ok(Self { client, upgraded, cookies, tls, connect })
    }

    /// Forgets what redirects and cookies said: a session begins.
    pub(in super::super) fn begin_anew(&self, target: &Target) {
        target.moved.store(None);
        self.cookies.clear();
    }

    /// Sends a request and waits for the head of its response. Redirects are followed where that is safe; others
    /// fail.
    pub(in super::super) async fn send(
        &self,
        target: &Target,
        method: &Method,
        headers: impl Fn() -> HeaderMap,
        body: &Pieces,
    ) -> Result<Response, Failure> {
        let (place, is_moved) = target.of(method);
        let response = self.send_to(&place, method, headers(), body).await?;
        if is_moved && is_gone(response.status()) {
            target.moved.store(None);
        }
        if !response.status().is_redirection() {
            return Ok(response);
        }
        // In a box: it is rarely needed.
        Box::pin(self.follow(target, (place, response), method, headers, body)).await
    }

    async fn follow(
        &self,
        target: &Target,
        (mut place, mut response): (Arc<Place>, Response),
        method: &Method,
        headers: impl Fn() -> HeaderMap,
        body: &Pieces,
    ) -> Result<Response, Failure> {
        let mut is_lasting = true;
        for _ in 0..MAX_REDIRECTS {
            let status = response.status();
            let next = match redirect::follow(&place.url, method, status, response.headers()) {
                None => return Ok(response),
                Some(Ok(next)) => next,
                Some(Err(reason)) => return Err(Failure::unavailable(reason).with_status(status.as_u16())),
            };
            is_lasting &= redirect::is_lasting(&place.url, &next, status);
            discard_rest(&mut response).await;
            place = Arc::new(Place::new(next)?);
            response = self.send_to(&place, method, headers(), body).await?;
            if !response.status().is_redirection() {
                if is_lasting && method == Method::POST && response.status().is_success() {
                    target.moved.store(Some(place));
                }
                return Ok(response);
            }
        }
        let reason = format!("the backend redirects one request more than {MAX_REDIRECTS} times");
        Err(Failure::unavailable(reason).with_status(response.status().as_u16()))
    }

    async fn send_to(
        &self,
        place: &Place,
        method: &Method,
        mut headers: HeaderMap,
        body: &Pieces,
    ) -> Result<Response, Failure> {
        self.cookies.add_to(&mut headers, &place.url);
        let client = match (&self.client, place.url.scheme()) {
            (Client::Direct(_), "https") => self.upgraded(&place.url)?,
            (client, _) => client,
        };
        let response = client.send(place, method.clone(), headers, body.clone()).await?;
        self.cookies.take(response.headers(), &place.url);
        Ok(response)
    }

    fn upgraded(&self, url: &Url) -> Result<&Client, Failure> {
        if self.upgraded.get().is_none() {
            let _ = self.upgraded.set(Client::new(url, &self.tls, self.connect)?);
        }
        Ok(self.upgraded.get().unwrap_or(&self.client))
    }
}

/// Whether a place that a redirect named is not there any more.
fn is_gone(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 404 | 405 | 410)
}
