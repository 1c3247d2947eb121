//! One TCP connection to a backend and the HTTP on it.
//!
//! It is driven by the request that uses it: no task stands in between, so what arrives wakes its reader and
//! nobody else, and a reader that is slow slows the backend down.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use crate::protocol::Pieces;
use crate::threads;

/// A link nobody used for so long is closed; servers close theirs at about the same age.
const IDLE: Duration = Duration::from_secs(60);

/// A request with its whole body.
pub(super) type Whole = Request<Full<Pieces>>;
type Driver = http1::Connection<TokioIo<TcpStream>, Full<Pieces>>;

/// Why a request got no response.
pub(super) enum Broken {
    /// Nothing of it was written; here it is again.
    Unsent(Box<Whole>, hyper::Error),
    /// It may have been read.
    Lost(hyper::Error),
}

/// See the module.
pub(super) struct Link {
    sender: SendRequest<Full<Pieces>>,
    /// Reads and writes while it is polled; none once it is closed.
    driver: Option<Box<Driver>>,
    used: Instant,
    /// Whose runtime tells what arrives on it.
    thread: usize,
}

impl Link {
    /// Connects to where `url` points.
    pub(super) async fn open(url: &Url, limit: Duration) -> Result<Self, String> {
        let stream = match timeout(limit, connect(url, limit)).await {
            Ok(connected) => connected.map_err(|error| error.to_string())?,
            Err(_) => return Err("timed out".to_owned()),
        };
        // Requests are written whole, so waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let (sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        Ok(Self { sender, driver: Some(Box::new(driver)), used: Instant::now(), thread: threads::current() })
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(&mut self, request: Whole) -> Result<Response<Incoming>, Broken> {
        let sent = pin!(self.sender.try_send_request(request));
        drive(&mut self.driver, sent).await.map_err(|mut error| match error.take_message() {
            Some(request) => Broken::Unsent(Box::new(request), error.into_error()),
            None => Broken::Lost(error.into_error()),
        })
    }

    /// The next part of a response's body; `None` at its end.
    pub(super) async fn chunk(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
        loop {
            match drive(&mut self.driver, pin!(body.frame()))
                .await
                .transpose()?
                .map(|frame| frame.into_data())
            {
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Whether another request may be sent: the link is open, and the last response was read to its end.
    pub(super) fn is_free(&mut self) -> bool {
        self.is_open() && self.sender.is_ready() && self.used.elapsed() < IDLE
    }

    fn is_open(&mut self) -> bool {
        let mut asleep = Context::from_waker(Waker::noop());
        let polled = self.driver.as_mut().map(|driver| Pin::new(driver).poll(&mut asleep));
        let is_open = polled.is_some_and(|polled| polled.is_pending());
        if !is_open {
            self.driver = None;
        }
        is_open
    }

    /// Begins to count as idle.
    pub(super) fn rest(&mut self) {
        self.used = Instant::now();
    }

    /// For how long it has been idle.
    pub(super) fn rested(&self) -> Duration {
        self.used.elapsed()
    }

    /// The thread that opened it.
    pub(super) fn thread(&self) -> usize {
        self.thread
    }
}

/// Waits for what only the link's driver can bring about.
async fn drive<T>(driver: &mut Option<Box<Driver>>, mut waited: Pin<&mut impl Future<Output = T>>) -> T {
    poll_fn(|cx| {
        // The driver is polled right here, so it need not wake anybody to say that it made progress.
        let mut asleep = Context::from_waker(Waker::noop());
        if let done @ Poll::Ready(_) = waited.as_mut().poll(&mut asleep) {
            return done;
        }
        let ended = driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready());
        if ended {
            *driver = None;
        }
        waited.as_mut().poll(&mut asleep)
    })
    .await
}

/// Tries each address of the host, none for longer than its share of the time.
async fn connect(url: &Url, limit: Duration) -> std::io::Result<TcpStream> {
    let port = url.port_or_known_default().unwrap_or(80);
    let name = match url.host() {
        Some(Host::Ipv4(address)) => return TcpStream::connect((address, port)).await,
        Some(Host::Ipv6(address)) => return TcpStream::connect((address, port)).await,
        Some(Host::Domain(name)) => name,
        None => return Err(std::io::Error::other("the URL names no host")),
    };
    let addresses: Vec<_> = lookup_host((name, port)).await?.collect();
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failed = std::io::Error::other("the name has no address");
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}
