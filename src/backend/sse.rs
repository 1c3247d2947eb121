//! HTTP+SSE, the transport of MCP 2024-11-05: answers come on one long event stream, requests are
//! POSTed to the endpoint its first event names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use crate::protocol::{SseEvent, SseParser};

use super::call_ref::CallRef;
use super::http::{describe, fixed_headers, is_event_stream, library};
use super::oauth::{self, Authorizer};
use super::pipe::{Frame, Pipe};
use super::signals::Signals;
use super::wire::counted;
use super::{Failure, MAX_MESSAGE_BYTES, RemoteSettings};

/// POSTs under way at a time.
const POSTS: usize = 16;

/// Opens the stream, learns the endpoint, and starts the two tasks that move messages.
pub(super) async fn connect(
    remote: &RemoteSettings,
    backend: &str,
    authorizer: Option<Arc<Authorizer>>,
    is_interactive: bool,
    limit: Duration,
) -> Result<Pipe, Failure> {
    let client = library(limit)?;
    let headers = fixed_headers(&remote.headers)?;
    let opening = async {
        let mut stream = open(&client, &remote.url, &headers, authorizer.as_ref()).await?;
        let endpoint = stream.endpoint(&remote.url).await?;
        Ok((stream, endpoint))
    };
    let opened = tokio::time::timeout(limit, opening).await;
    let (stream, endpoint) = opened.unwrap_or_else(|_| {
        Err(Failure::unavailable(format!("no `endpoint` event in {}", humantime::format_duration(limit))))
    })?;
    let (pipe, frames) = Pipe::new(Signals::new(backend), is_interactive);
    tokio::spawn(read_stream(stream, pipe.clone()));
    tokio::spawn(post_frames(Poster { client, endpoint, headers, authorizer, limit }, frames, pipe.clone()));
    Ok(pipe)
}

struct Stream {
    response: Response,
    parser: SseParser,
}

async fn open(
    client: &Client,
    url: &Url,
    headers: &HeaderMap,
    authorizer: Option<&Arc<Authorizer>>,
) -> Result<Stream, Failure> {
    let mut headers = headers.clone();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let response = transmit(authorizer, || client.get(url.clone()).headers(headers.clone())).await?;
    if !response.status().is_success() {
        return Err(Failure::unavailable(format!(
            "the backend answered HTTP {}: is the URL right?",
            response.status()
        )));
    }
    if !is_event_stream(response.headers()) {
        return Err(Failure::unavailable("the backend answered with no event stream: is the URL right?"));
    }
    Ok(Stream { response, parser: SseParser::new(MAX_MESSAGE_BYTES) })
}

async fn transmit(
    authorizer: Option<&Arc<Authorizer>>,
    request: impl Fn() -> RequestBuilder,
) -> Result<Response, Failure> {
    let attempt = async |token: Option<HeaderValue>| {
        let authorized =
            token.into_iter().fold(request(), |request, token| request.header(AUTHORIZATION, token));
        authorized.send().await.map_err(|error| describe(&error))
    };
    oauth::send(authorizer, attempt).await
}

impl Stream {
    async fn next(&mut self) -> Result<SseEvent, Failure> {
        loop {
            if let Some(event) =
                self.parser.next_event().map_err(|error| Failure::malformed(error.to_string()))?
            {
                return Ok(event);
            }
            match self.response.chunk().await.map_err(|error| describe(&error))? {
                Some(chunk) => self.parser.push(&chunk),
                None => return Err(Failure::unavailable("the backend closed the event stream")),
            }
        }
    }

    async fn endpoint(&mut self, stream_url: &Url) -> Result<Url, Failure> {
        loop {
            let event = self.next().await?;
            if event.name == "endpoint" {
                return resolve(stream_url, &String::from_utf8_lossy(&event.data));
            }
        }
    }
}

/// Where to POST. Another origin is refused: it would be given the backend's credentials.
fn resolve(stream_url: &Url, endpoint: &str) -> Result<Url, Failure> {
    let url = stream_url
        .join(endpoint.trim())
        .map_err(|error| Failure::unavailable(format!("the `endpoint` event names no URL: {error}")))?;
    if url.origin() != stream_url.origin() {
        return Err(Failure::unavailable("the `endpoint` event names another origin, which is refused"));
    }
    Ok(url)
}

async fn read_stream(mut stream: Stream, pipe: Pipe) {
    let reason = loop {
        let event = tokio::select! {
            event = stream.next() => event,
            reason = pipe.signals().lost() => break reason,
        };
        match event {
            Ok(event) if event.is_message() => {
                let text = counted(Bytes::from(event.data)).await;
                if !pipe.receive(&text) {
                    pipe.signals().garbage(&text);
                }
            }
            Ok(_) => pipe.signals().garbage(b""),
            Err(failure) => break failure.message,
        }
    };
    pipe.lose(&reason);
}

#[derive(Clone)]
struct Poster {
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    authorizer: Option<Arc<Authorizer>>,
    limit: Duration,
}

/// Requests are POSTed side by side; what has an order to keep (notifications, answers) is awaited.
async fn post_frames(poster: Poster, mut frames: mpsc::Receiver<Frame>, pipe: Pipe) {
    let mut posts = JoinSet::new();
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            _ = pipe.signals().lost() => None,
        };
        let Some(frame) = frame else { return };
        while posts.len() >= POSTS {
            posts.join_next().await;
        }
        while posts.try_join_next().is_some() {}
        match frame.call {
            Some(call) => {
                posts.spawn(deliver(poster.clone(), frame.text, call, pipe.clone()));
            }
            None => {
                let _ = poster.post(frame.text).await;
            }
        }
    }
}

async fn deliver(poster: Poster, text: Bytes, call: CallRef, pipe: Pipe) {
    if !call.start() {
        return;
    }
    if let Err(failure) = poster.post(text).await {
        pipe.fail(call.id, failure);
    }
}

impl Poster {
    async fn post(&self, text: Bytes) -> Result<(), Failure> {
        let request =
            || self.client.post(self.endpoint.clone()).headers(self.headers.clone()).body(text.clone());
        let sending = transmit(self.authorizer.as_ref(), request);
        let sent = tokio::time::timeout(self.limit, sending).await;
        let response = sent.map_err(|_| Failure::timeout(super::Sent::Maybe, self.limit))??;
        if response.status().is_success() {
            return Ok(());
        }
        let status = response.status();
        Err(Failure::malformed(format!("the backend answered HTTP {status}")).with_status(status.as_u16()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_resolved_and_kept_on_the_streams_origin() {
        let stream = Url::parse("https://crm.example.com/mcp/sse").unwrap();
        assert_eq!(
            resolve(&stream, "/messages?s=1").unwrap().as_str(),
            "https://crm.example.com/messages?s=1"
        );
        assert_eq!(resolve(&stream, "m").unwrap().path(), "/mcp/m");
        assert!(resolve(&stream, "https://evil.example.com/m").is_err());
        assert!(resolve(&stream, "http://crm.example.com/m").is_err());
        assert!(resolve(&stream, "//evil.example.com/m").is_err());
    }
}
