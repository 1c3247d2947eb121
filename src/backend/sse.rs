//! HTTP+SSE, the transport of MCP 2024-11-05: answers come on one long event stream, requests are
//! POSTed to the endpoint its first event names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use crate::protocol::{Pieces, SseEvent, SseParser};

use super::call_ref::CallRef;
use super::http::{
    OriginClient, Response, Target, discard_rest, fixed_headers, is_event_stream, take_refusal, within_origin,
};
use super::oauth::{self, Authorizer};
use super::pipe::{Frame, Pipe};
use super::signals::Signals;
use super::wire::counted;
use super::{Failure, FailureKind, MAX_MESSAGE_BYTES, RemoteSettings};

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
    let sender = Sender {
        client: OriginClient::new(remote, limit)?,
        headers: fixed_headers(&remote.headers)?,
        authorizer,
    };
    let opening = async {
        let mut stream = open(&sender, &remote.url).await?;
        let endpoint = stream.endpoint(&remote.url).await?;
        Ok((stream, endpoint))
    };
    let opened = tokio::time::timeout(limit, opening).await;
    let (stream, endpoint) = opened.unwrap_or_else(|_| {
        Err(Failure::unavailable(format!("no `endpoint` event in {}", humantime::format_duration(limit))))
    })?;
    let (pipe, frames) = Pipe::new(Signals::new(backend), is_interactive);
    let poster = Arc::new(Poster { sender, endpoint: Target::new(endpoint)?, limit });
    tokio::spawn(read_stream(stream, pipe.clone()));
    tokio::spawn(post_frames(poster, frames, pipe.clone()));
    Ok(pipe)
}

/// Sends requests of one connection: the one that opens the stream, and each POST.
struct Sender {
    client: OriginClient,
    headers: HeaderMap,
    authorizer: Option<Arc<Authorizer>>,
}

impl Sender {
    async fn send(
        &self,
        target: &Target,
        method: Method,
        accept: Option<HeaderValue>,
        body: Pieces,
    ) -> Result<Response, Failure> {
        let (method, accept, body) = (&method, &accept, &body);
        let attempt = |token: Option<HeaderValue>| async move {
            let headers = || {
                let mut headers = self.headers.clone();
                let own = [(ACCEPT, accept), (AUTHORIZATION, &token)];
                headers.extend(own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
                headers
            };
            self.client.send(target, method, headers, body).await
        };
        oauth::send(self.authorizer.as_ref(), attempt).await
    }
}

struct Stream {
    response: Response,
    parser: SseParser,
}

async fn open(sender: &Sender, url: &Url) -> Result<Stream, Failure> {
    let accept = HeaderValue::from_static("text/event-stream");
    let target = Target::new(url.clone())?;
    let mut response = sender.send(&target, Method::GET, Some(accept), Pieces::default()).await?;
    if !response.status().is_success() {
        let message = format!("the backend answered HTTP {}: is the URL right?", response.status());
        let (_, reason) = take_refusal(&mut response, 0).await;
        return Err(Failure::unavailable(message).saying(reason));
    }
    if !is_event_stream(response.headers()) {
        return Err(Failure::unavailable("the backend answered with no event stream: is the URL right?"));
    }
    Ok(Stream { response, parser: SseParser::new(MAX_MESSAGE_BYTES) })
}

impl Stream {
    async fn next(&mut self) -> Result<SseEvent, Failure> {
        loop {
            if let Some(event) =
                self.parser.next_event().map_err(|error| Failure::malformed(error.to_string()))?
            {
                return Ok(event);
            }
            match self.response.chunk().await? {
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
    if !within_origin(stream_url, &url) {
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

struct Poster {
    sender: Sender,
    endpoint: Target,
    limit: Duration,
}

/// Requests are POSTed side by side; what has an order to keep (notifications, answers) is awaited.
async fn post_frames(poster: Arc<Poster>, mut frames: mpsc::Receiver<Frame>, pipe: Pipe) {
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
                posts.spawn(deliver(Arc::clone(&poster), frame.text, call, pipe.clone()));
            }
            None => {
                let _ = poster.post(frame.text, 0).await;
            }
        }
    }
}

async fn deliver(poster: Arc<Poster>, text: Bytes, call: CallRef, pipe: Pipe) {
    if !call.start() {
        return;
    }
    match poster.post(text, call.id).await {
        Ok(()) => {}
        Err(failure) if failure.kind == FailureKind::Lost && failure.sent == super::Sent::No => {
            let reason = failure.message.clone();
            pipe.fail(call.id, failure);
            pipe.lose(&reason);
        }
        Err(failure) => pipe.fail(call.id, failure),
    }
}

impl Poster {
    /// POSTs one message, request `id` if it is one.
    ///
    /// # Errors
    /// The backend did not take it. It was lost unsent if the backend has forgotten what the stream belongs to.
    async fn post(&self, text: Bytes, id: u64) -> Result<(), Failure> {
        let posting = async {
            let sending = self.sender.send(&self.endpoint, Method::POST, None, text.into());
            let mut response = sending.await?;
            let status = response.status();
            if status.is_success() {
                discard_rest(&mut response).await;
                return Ok(());
            }
            let (is_lost, reason) = take_refusal(&mut response, id).await;
            if status.is_client_error() && is_lost {
                return Err(Failure::lost(
                    super::Sent::No,
                    "the backend forgot the session of its event stream",
                ));
            }
            let failure = Failure::malformed(format!("the backend answered HTTP {status}")).saying(reason);
            Err(failure.with_status(status.as_u16()))
        };
        let posted = tokio::time::timeout(self.limit, posting).await;
        posted.unwrap_or_else(|_| Err(Failure::timeout(super::Sent::Maybe, self.limit)))
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
