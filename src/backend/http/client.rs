//! Which way do requests to a backend take?

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use url::Url;

use super::super::oauth::Head;
use super::super::{Failure, FailureKind, Sent, TlsSettings, tls};
use super::decode::Decoder;
use super::direct::{Direct, DirectBody};
use super::origin::Place;
use super::proxy::proxy_of;
use crate::protocol::Pieces;

/// How the gateway names itself.
pub(super) const AGENT: &str = concat!("switchyard/", env!("CARGO_PKG_VERSION"));

/// Sends requests to one origin; no connection is shared with another backend.
#[derive(Debug)]
pub(super) enum Client {
    /// Plain HTTP.
    Direct(Direct),
    /// TLS, proxies, credentials in the URL.
    Library(Library),
}

/// A response whose body is still to be read.
pub(in super::super) struct Response {
    status: StatusCode,
    headers: HeaderMap,
    /// None once it was taken.
    body: Option<Body>,
    /// Of a body that is compressed.
    decoder: Option<Box<Decoder>>,
}

/// What is read of a response, part by part.
pub(super) enum Body {
    Direct(Box<DirectBody>),
    Library(reqwest::Body),
}

impl Client {
    /// # Errors
    /// No TLS roots, or a `tls.ca` that holds none.
    pub(super) fn new(url: &Url, tls: &TlsSettings, connect: Duration) -> Result<Self, Failure> {
        match Direct::to(url, connect) {
            Some(direct) => Ok(Self::Direct(direct)),
            None => Ok(Self::Library(Library::new(url, tls, connect)?)),
        }
    }

    /// Sends a request to `place` and waits for the head of its response.
    pub(super) async fn send(
        &self,
        place: &Place,
        method: Method,
        headers: HeaderMap,
        body: Pieces,
    ) -> Result<Response, Failure> {
        match self {
            Self::Direct(direct) => {
                let sending = direct.send(place.uri.clone(), method, headers, body);
                let (head, body) = sending.await?.into_parts();
                Response::new(head, Body::Direct(Box::new(body)))
            }
            Self::Library(client) => {
                let request = client.http.request(method, place.url.clone()).headers(headers);
                let response = client.send(request.body(body.join())).await?;
                let (head, body) = http::Response::from(response).into_parts();
                Response::new(head, Body::Library(body))
            }
        }
    }
}

impl Response {
    fn new(head: http::response::Parts, body: Body) -> Result<Self, Failure> {
        let decoder = Decoder::for_response(&head.headers)?;
        Ok(Self { status: head.status, headers: head.headers, body: Some(body), decoder })
    }

    pub(in super::super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(in super::super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next part of the body; `None` at its end. Cancel-safe.
    pub(in super::super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match (&mut self.body, &mut self.decoder) {
            (Some(body), None) => body.chunk().await,
            (body, Some(decoder)) => decoded(body.as_mut(), decoder).await,
            (None, None) => Ok(None),
        }
    }

    /// What was not read yet.
    pub(super) fn take_body(&mut self) -> Option<Body> {
        self.body.take()
    }
}

/// The next decoded part; `None` at the end. Cancel-safe.
async fn decoded(mut body: Option<&mut Body>, decoder: &mut Decoder) -> Result<Option<Bytes>, Failure> {
    loop {
        // A little input can yield much output without a wait: other tasks get their turn.
        tokio::task::coop::consume_budget().await;
        if let Some(part) = decoder.pull()? {
            return Ok(Some(part));
        }
        let chunk = match &mut body {
            Some(body) => body.chunk().await?,
            None => None,
        };
        match chunk {
            Some(chunk) => decoder.push(chunk),
            None if decoder.end() => return Ok(None),
            None => {}
        }
    }
}

impl Body {
    /// The next part; `None` at the end. Cancel-safe.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let body = match self {
            Self::Direct(body) => return body.chunk().await,
            Self::Library(body) => body,
        };
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|error| describe(&error))?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

impl Head for Response {
    fn head(&self) -> (StatusCode, &HeaderMap) {
        (self.status, &self.headers)
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Response({})", self.status)
    }
}

/// The HTTP library, and the proxy it goes through.
#[derive(Debug)]
pub(super) struct Library {
    http: reqwest::Client,
    proxy: Option<String>,
}

impl Library {
    /// One client per backend, for requests to the origin of `url`: no pool is shared with another.
    fn new(url: &Url, tls: &TlsSettings, connect: Duration) -> Result<Self, Failure> {
        let own = tls
            .certificates()
            .map_err(|_| Failure::unavailable("`tls.ca` holds a certificate that cannot be read"))?;
        let proxy = proxy_of(url);
        let builder = reqwest::Client::builder();
        let builder = if proxy.is_none() { builder.no_proxy() } else { builder };
        let http = builder
            .tls_certs_merge(own)
            .connect_timeout(connect)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(AGENT)
            .build()
            .map_err(|error| Failure::unavailable(format!("failed to set up HTTP: {error}")))?;
        Ok(Self { http, proxy })
    }

    /// Sends a request and waits for the head of its response; a proxy that is to blame is named.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        let sent = request.send().await.map_err(|error| describe(&error));
        let Some(proxy) = &self.proxy else { return sent };
        match sent {
            Ok(response) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(Failure::unavailable(format!("the proxy {proxy} asks for credentials (HTTP 407)")))
            }
            Ok(response) => Ok(response),
            Err(failure) => {
                let message = format!("{} (through the proxy {proxy})", failure.message);
                Err(Failure { message, ..failure })
            }
        }
    }
}

/// What went wrong, without the URL: it may hold a token.
pub(in super::super) fn describe(error: &reqwest::Error) -> Failure {
    if let Some(refused) = tls::explain(error) {
        return Failure::unavailable(format!("failed to connect: {refused}"));
    }
    let cause = innermost(error).unwrap_or_else(|| "the request failed".to_owned());
    if error.is_connect() {
        return Failure::unavailable(format!("failed to connect: {cause}"));
    }
    Failure::new(FailureKind::Lost, Sent::Maybe, format!("the connection broke: {cause}"))
}

/// The cause of the cause, to its end.
pub(super) fn innermost(error: &dyn Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Some(cause.to_string())
}
