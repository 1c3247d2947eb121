//! How does a demo server answer HTTP?
//!
//! One loop for both HTTP servers: loopback only, a bound on connections, a deadline for headers, and an end that
//! lets answers under way finish.

use std::{
    convert::Infallible,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// What a handler answers.
pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

const MAX_CONNECTIONS: usize = 256;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept, most likely because file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Binds a port on 127.0.0.1, any free one for 0, and says on standard error where `name` now is.
pub(super) async fn bind(name: &str, port: u16, path: &str) -> anyhow::Result<TcpListener> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener =
        TcpListener::bind(wanted).await.with_context(|| format!("failed to listen on {wanted}"))?;
    let bound = listener.local_addr()?;
    // Nobody reading standard error is no reason to stop.
    let _ = writeln!(std::io::stderr(), "switchyard demo {name}: listening on http://{bound}{path}");
    Ok(listener)
}

/// Answers requests with `handler` until `stop` is cancelled, then lets open exchanges end for up to three seconds.
pub(super) async fn serve<H, F>(listener: TcpListener, handler: H, stop: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Some((stream, permit)) = next(&listener, &permits, &stop).await {
        connections.spawn(connection(stream, permit, handler.clone(), stop.clone()));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is still open after the deadline is closed when `connections` is dropped.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, ended).await;
}

/// The next connection and its permit, or nothing once `stop` is cancelled.
async fn next(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accept = async {
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    stop.run_until_cancelled(accept).await.flatten()
}

async fn connection<H, F>(
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    handler: H,
    stop: CancellationToken,
) where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    // Delayed small writes would show up as 40 ms on every SSE event.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // An error here is the client's connection breaking, which concerns nobody else.
    let _ = connection.await;
}
