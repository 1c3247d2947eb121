//! Load that arrives when it is due, whatever became of the calls before it.

mod client;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

pub(crate) use client::{Client, Verdict};
pub(crate) use tally::{Tally, millis, quantile};

/// One call, as its client saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Index of the backend.
    pub(crate) backend: usize,
    /// When it was to be sent.
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    pub(crate) ended: Instant,
    pub(crate) verdict: Verdict,
}

/// Numbers for calls, which never repeat in a run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    pub(crate) fn draw(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Calls to all backends in turn, at a fixed rate.
pub(crate) struct Load {
    samples: Arc<Mutex<Vec<Sample>>>,
    in_flight: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// `rate` calls a second to each of `backends`, by all `clients` in turn.
    pub(crate) fn start(
        clients: &[Arc<Client>],
        backends: Vec<(usize, &'static str)>,
        rate: u32,
        numbers: &Numbers,
    ) -> Self {
        let load = Self { samples: Arc::default(), in_flight: Arc::default(), stop: Arc::default() };
        let pace = Pace {
            clients: clients.to_vec(),
            interval: Duration::from_secs(1) / (rate * u32::try_from(backends.len()).unwrap()),
            backends,
            numbers: numbers.clone(),
            samples: Arc::clone(&load.samples),
            in_flight: Arc::clone(&load.in_flight),
        };
        let (stop, handle) = (Arc::clone(&load.stop), Handle::current());
        // A thread of its own: the runtime's timers tick in milliseconds.
        std::thread::spawn(move || pace.keep(&stop, &handle));
        load
    }

    /// The calls that have ended so far, from the `skip`th on.
    pub(crate) fn ended(&self, skip: usize) -> Vec<Sample> {
        self.samples.lock()[skip..].to_vec()
    }

    /// How many have ended so far.
    pub(crate) fn count(&self) -> usize {
        self.samples.lock().len()
    }

    /// Stops sending and waits for what is under way; every call.
    pub(crate) async fn finish(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        while self.in_flight.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::mem::take(&mut *self.samples.lock())
    }
}

struct Pace {
    clients: Vec<Arc<Client>>,
    backends: Vec<(usize, &'static str)>,
    interval: Duration,
    numbers: Numbers,
    samples: Arc<Mutex<Vec<Sample>>>,
    in_flight: Arc<AtomicUsize>,
}

impl Pace {
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, without a runtime")]
    fn keep(self, stop: &AtomicBool, handle: &Handle) {
        let mut due = Instant::now();
        for turn in 0.. {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let backend = self.backends[turn % self.backends.len()];
            let client = Arc::clone(&self.clients[turn / self.backends.len() % self.clients.len()]);
            handle.spawn(self.call(client, backend, due));
            due += self.interval;
        }
    }

    fn call(
        &self,
        client: Arc<Client>,
        to: (usize, &'static str),
        due: Instant,
    ) -> impl Future<Output = ()> + use<> {
        let (samples, in_flight) = (Arc::clone(&self.samples), Arc::clone(&self.in_flight));
        let number = self.numbers.draw();
        in_flight.fetch_add(1, Ordering::SeqCst);
        async move {
            let sent = Instant::now();
            let verdict = client.call(to.1, number, 0).await;
            samples.lock().push(Sample { backend: to.0, due, sent, ended: Instant::now(), verdict });
            in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
