//! Which way do requests to a backend take?

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use url::Url;

use super::super::oauth::Head;
use super::super::{Failure, FailureKind, Sent};
use super::direct::{Direct, DirectBody};
use crate::protocol::Pieces;

/// How the gateway names itself.
pub(super) const AGENT: &str = concat!("switchyard/", env!("CARGO_PKG_VERSION"));

/// Sends requests to one URL; no connection is shared with another backend.
#[derive(Debug)]
pub(super) enum Client {
    /// Plain HTTP.
    Direct(Direct),
    /// TLS, proxies, credentials in the URL.
    Library(reqwest::Client, Url),
}

/// A response whose body is still to be read.
pub(super) struct Response {
    status: StatusCode,
    headers: HeaderMap,
    /// None once it was taken.
    body: Option<Body>,
}

/// What is read of a response, part by part.
pub(super) enum Body {
    Direct(Box<DirectBody>),
    Library(reqwest::Body),
}

impl Client {
    /// # Errors
    /// No TLS roots.
    pub(super) fn new(url: &Url, connect: Duration) -> Result<Self, Failure> {
        match Direct::to(url, connect) {
            Some(direct) => Ok(Self::Direct(direct)),
            None => Ok(Self::Library(library(connect)?, url.clone())),
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Pieces,
    ) -> Result<Response, Failure> {
        match self {
            Self::Direct(direct) => {
                let (head, body) = direct.send(method, headers, body).await?.into_parts();
                Ok(Response {
                    status: head.status,
                    headers: head.headers,
                    body: Some(Body::Direct(Box::new(body))),
                })
            }
            Self::Library(client, url) => {
                let request = client.request(method, url.clone()).headers(headers).body(body.join());
                let response = request.send().await.map_err(|error| describe(&error))?;
                let (head, body) = http::Response::from(response).into_parts();
                let body = Some(Body::Library(body));
                Ok(Response { status: head.status, headers: head.headers, body })
            }
        }
    }
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next part of the body; `None` at its end. Cancel-safe.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.body {
            Some(body) => body.chunk().await,
            None => Ok(None),
        }
    }

    /// What was not read yet.
    pub(super) fn take_body(&mut self) -> Option<Body> {
        self.body.take()
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

/// One client per backend: no pool is shared with another.
pub(in super::super) fn library(connect: Duration) -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .connect_timeout(connect)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(AGENT)
        .build()
        .map_err(|error| Failure::unavailable(format!("failed to set up HTTP: {error}")))
}

/// What went wrong, without the URL: it may hold a token.
pub(in super::super) fn describe(error: &reqwest::Error) -> Failure {
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
