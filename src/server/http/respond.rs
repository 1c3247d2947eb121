//! What are the responses made of?

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Frame, SizeHint};

use super::connection::Connection;
use super::events::Events;
use crate::protocol::Pieces;

/// A response's body: known text, or events as they come.
pub(in crate::server) enum Body {
    /// Text; nothing once it is taken.
    Text(Option<Pieces>),
    /// An event stream.
    Events(Events),
}

impl Body {
    /// Says which connection it is sent on, which is at rest once that is over.
    pub(super) fn serve_on(&mut self, connection: Arc<Connection>) {
        match self {
            Self::Text(_) => connection.rest(),
            Self::Events(events) => events.serve_on(connection),
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Pieces;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Pieces>, Infallible>>> {
        match &mut *self {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Events(events) => {
                events.poll_next(cx).map(|next| next.map(|text| Ok(Frame::data(text.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Text(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.remaining() as u64)),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// A response of JSON text.
pub(in crate::server) fn json(status: StatusCode, text: impl Into<Pieces>) -> Response<Body> {
    typed(status, "application/json", Body::Text(Some(text.into())))
}

/// A response of plain text.
pub(super) fn text(content_type: &'static str, text: String) -> Response<Body> {
    typed(StatusCode::OK, content_type, Body::Text(Some(Bytes::from(text).into())))
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Text(None));
    *response.status_mut() = status;
    response
}

/// A response that stays open. Proxies on the way are told not to collect it
/// (MCP 2026-07-28, basic/transports/streamable-http, receiving messages).
pub(super) fn events(events: Events) -> Response<Body> {
    let mut response = typed(StatusCode::OK, "text/event-stream", Body::Events(events));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// The same for messages that answer nothing: such a stream may be ended to make room for others.
pub(super) fn notices(stream: Events) -> Response<Body> {
    events(stream.of_notices())
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
