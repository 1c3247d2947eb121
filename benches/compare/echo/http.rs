//! Streamable HTTP on one thread.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::answer::{Answer, Server};

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

pub(crate) fn serve(address: SocketAddr, server: Server) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, listen(address, Arc::new(server)));
}

async fn listen(address: SocketAddr, server: Arc<Server>) {
    let listener = TcpListener::bind(address).await.expect("a free address");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let server = Arc::clone(&server);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(respond(&server, request).await) }
        });
        tokio::task::spawn_local(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(server: &Server, request: Request<Incoming>) -> Reply {
    if request.method() != Method::POST {
        return reply(StatusCode::METHOD_NOT_ALLOWED, None, Full::default());
    }
    let Ok(body) = request.into_body().collect().await else {
        return reply(StatusCode::BAD_REQUEST, None, Full::default());
    };
    let json = |text: String| reply(StatusCode::OK, Some("application/json"), Full::from(text));
    match server.answer(&body.to_bytes()) {
        Answer::None => reply(StatusCode::ACCEPTED, None, Full::default()),
        Answer::One(text) => json(text),
        Answer::Opened(text) => {
            let mut response = json(text);
            response.headers_mut().insert("mcp-session-id", HeaderValue::from_static("the-only-one"));
            response
        }
        Answer::Many(messages) => {
            let events = messages.into_iter().map(|text| format!("event: message\ndata: {text}\n\n"));
            let events = Events { waiting: events.collect::<Vec<_>>().into_iter(), is_due: true };
            reply(StatusCode::OK, Some("text/event-stream"), events)
        }
    }
}

fn reply<B>(status: StatusCode, content_type: Option<&'static str>, body: B) -> Reply
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(value));
    }
    response
}

/// One frame an event, and each written before the next is made, as progress is.
struct Events {
    waiting: std::vec::IntoIter<String>,
    is_due: bool,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.is_due = !self.is_due;
        if self.is_due {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.waiting.next().map(|text| Ok(Frame::data(text.into()))))
    }
}
