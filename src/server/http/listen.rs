//! How are connections accepted, bounded and drained?

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, OpenConnection};
use super::connections::Connections;
use super::respond::Body;
use super::stall::Impatient;
use super::{descriptors, endpoint};
use crate::server::Server;
use crate::threads::Threads;

const HEADER_BYTES: usize = 32 * 1024;
const HEADERS: usize = 100;
/// A client that takes nothing for so long loses its connection.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// Changes of sessions are on disk so long after the first of them.
const KEEP: Duration = Duration::from_secs(1);
/// A client that keeps its connection may be sending the next request just as the gateway stops: it is answered,
/// and told that it was the last one. A connection that is silent for so long is closed.
const LINGER: Duration = Duration::from_secs(1);
/// Connections that are taken from the queue before it is closed; as many as it holds.
const QUEUED: usize = 1024;
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);
const ACCEPT_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Serves clients on `listener` until the server's shutdown, then drains: no connection is accepted, requests
/// in flight are finished within [`ServerSettings::drain`](crate::server::ServerSettings), open streams end.
///
/// Connections are served on `threads`, or where this runs.
pub async fn serve(listener: TcpListener, server: Arc<Server>, threads: Option<&Threads>) {
    let limits = server.policy().limits.clone();
    let acceptor = Acceptor {
        connections: Connections::up_to(descriptors::connections(limits.connections)),
        header_timeout: limits.header_timeout,
        linger: LINGER,
        stop: server.shutdown.clone(),
        killed: server.killed.clone(),
    };
    let _ = server.connections.set(Arc::clone(&acceptor.connections));
    let sweeping = Arc::clone(&server);
    server.tasks.spawn(async move { sweep(&sweeping).await });
    let keeping = Arc::clone(&server);
    server.tasks.spawn(async move { keep(&keeping).await });
    let serving = Arc::clone(&server);
    let connections = acceptor
        .run(listener, threads, move |connection, request| {
            endpoint::answer(Arc::clone(&serving), connection, request)
        })
        .await;
    // The connections keep nothing the drain does not wait for: what outlives them is among the tasks.
    server.tasks.spawn(async move { connections.wait().await });
    server.finish(server.policy().drain).await;
}

/// Ends sessions that nobody uses, until the shutdown.
async fn sweep(server: &Server) {
    while !server.is_draining() {
        let idle = server.policy().limits.session_idle;
        let pause = (idle / 4).clamp(Duration::from_millis(100), Duration::from_secs(30));
        server.shutdown.run_until_cancelled(sleep(pause)).await;
        server.sessions.sweep(idle);
    }
}

/// Writes what is kept of sessions, until the shutdown and once more then: the next process may be waiting.
async fn keep(server: &Arc<Server>) {
    while !server.is_draining() {
        let stirred = async {
            server.sessions.stirred().await;
            // Changes that come together are written once.
            sleep(KEEP).await;
        };
        server.shutdown.run_until_cancelled(stirred).await;
        let keeping = Arc::clone(server);
        let _ = tokio::task::spawn_blocking(move || keeping.sessions.write()).await;
    }
}

/// Accepts connections and serves HTTP/1.1 on them.
pub(super) struct Acceptor {
    pub(super) connections: Arc<Connections>,
    pub(super) header_timeout: Duration,
    /// How long a connection without a request stays open after the stop.
    pub(super) linger: Duration,
    pub(super) stop: CancellationToken,
    pub(super) killed: CancellationToken,
}

impl Acceptor {
    /// Accepts until told to stop; the connections that are still open then are returned.
    pub(super) async fn run<H, F>(
        self,
        listener: TcpListener,
        threads: Option<&Threads>,
        handle: H,
    ) -> TaskTracker
    where
        H: Fn(Arc<Connection>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let gate = Arc::new(Semaphore::new(self.connections.sockets()));
        let open = TaskTracker::new();
        let serve = |stream: TcpStream, connection: OpenConnection, permit: OwnedSemaphorePermit| {
            let connection = self.converse(stream, connection, handle.clone());
            let held = async move {
                connection.await;
                drop(permit);
            };
            match threads {
                Some(threads) => threads.serve(&open, held),
                None => drop(open.spawn(held)),
            }
        };
        while let Some(Some(accepted)) = self.stop.run_until_cancelled(accept(&listener, &gate)).await {
            let (stream, address, permit) = accepted;
            let entered = self.stop.run_until_cancelled(self.connections.enter(address)).await;
            let entered = entered.unwrap_or_else(|| Some(self.connections.enter_anyway(address)));
            // One more of the holder that has most is closed as it came.
            if let Some(entered) = entered {
                serve(stream, entered, permit);
            }
        }
        // Whoever was connected to the queue has not been refused, and will not be.
        for _ in 0..QUEUED {
            let Ok(permit) = Arc::clone(&gate).try_acquire_owned() else { break };
            let Some((stream, address)) = queued(&listener).await else { break };
            serve(stream, self.connections.enter_anyway(address), permit);
        }
        open.close();
        open
    }

    /// Serves one connection to its end: the client's, or that of the request in flight when told to stop.
    fn converse<H, F>(
        &self,
        stream: TcpStream,
        open: OpenConnection,
        handle: H,
    ) -> impl Future<Output = ()> + Send + use<H, F>
    where
        H: Fn(Arc<Connection>, Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let header_timeout = self.header_timeout;
        let endings = Endings { linger: self.linger, stop: self.stop.clone(), killed: self.killed.clone() };
        // The runtime that serves it waits for it.
        let stream = stream.into_std();
        async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => {
                    let connection = Arc::clone(open.connection());
                    converse(stream, connection, handle, header_timeout, endings).await;
                }
                Err(error) => tracing::debug!(%error, "a client's connection could not be served"),
            }
            drop(open);
        }
    }
}

/// A connection that waits already.
async fn queued(listener: &TcpListener) -> Option<(TcpStream, IpAddr)> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok().map(|(stream, peer)| (stream, peer.ip()))),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// The next connection, once there is room for it; errors are waited out, because the usual one is that no
/// file descriptor is free.
async fn accept(
    listener: &TcpListener,
    gate: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(gate).acquire_owned().await.ok()?;
    let mut backoff = ACCEPT_BACKOFF;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer.ip(), permit)),
            Err(error) if is_about_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(backoff).await;
                backoff = (backoff * 2).min(ACCEPT_BACKOFF_MAX);
            }
        }
    }
}

fn is_about_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What ends a connection from outside.
struct Endings {
    /// How long a request that may be on its way is waited for once `stop` is cancelled.
    linger: Duration,
    stop: CancellationToken,
    killed: CancellationToken,
}

async fn converse<H, F>(
    stream: TcpStream,
    served: Arc<Connection>,
    handle: H,
    header_timeout: Duration,
    Endings { linger, stop, killed }: Endings,
) where
    H: Fn(Arc<Connection>, Request<Incoming>) -> F,
    F: Future<Output = Response<Body>>,
{
    // Answers are written whole, so waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Impatient::new(stream, WRITE_STALL).noting_in(Arc::clone(&served)));
    let service = service_fn(|request| {
        // In a box, because the library moves it several times, and keeps room for one per connection.
        let answered = Box::pin(handle(Arc::clone(&served), request));
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header_timeout);
    http.max_header_size(HEADER_BYTES).max_headers(HEADERS);
    let mut connection = std::pin::pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = served.evicted().cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(served.linger(), connection.as_mut()).await.unwrap_or(Ok(()))
        }
        () = stop.cancelled() => tokio::select! {
            ended = async {
                // What may be on its way is answered, with the word that it is the last.
                if let Ok(ended) = timeout(linger, connection.as_mut()).await {
                    return ended;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            } => ended,
            () = killed.cancelled() => Ok(()),
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended");
    }
}
