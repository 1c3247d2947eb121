//! Which thread serves a client's connection?
//!
//! One of as many as there are cores, each with a runtime of its own, for as long as the connection lasts: its requests
//! are read and answered there, and over plain HTTP their backends answer there too, so nothing on the way is handed from
//! core to core. What a request begins goes on there as well: a connection to a backend that it opens, with the process
//! behind it, a call that outlives its client. Everything else runs on the threads of the main runtime: backends that are
//! shared, health, the catalog, what operators ask.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, LazyLock};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// More threads than this serve nobody faster, and each holds four file descriptors.
const MOST: usize = 32;

thread_local!(static NUMBER: Cell<usize> = const { Cell::new(0) });

/// Bytes that one message may bring in before the other connections of its thread have their turn.
const TURN: usize = 256 * 1024;

/// How much of a message was read in one go. A peer that writes as fast as it is read, as one on the same machine can,
/// would hold its thread for as long as its message is long.
#[derive(Debug, Default)]
pub(crate) struct Turn(usize);

impl Turn {
    /// Counts what was read, and lets others have their turn when it was much. Cancel-safe.
    pub(crate) async fn taken(&mut self, bytes: usize) {
        self.0 += bytes;
        if self.0 >= TURN {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// The number of the thread this runs on, from 1 to [`count`]; 0 on any that serves no connections.
pub(crate) fn current() -> usize {
    NUMBER.get()
}

/// How many threads there are.
pub(crate) fn count() -> usize {
    static COUNT: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).min(MOST));
    *COUNT
}

/// The threads that serve connections. They end when this is dropped; what they have not finished is dropped with them,
/// or with the process.
#[derive(Debug)]
pub struct Threads {
    threads: Vec<Thread>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    /// Held once more by each connection.
    connections: Arc<()>,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// What the system says against another thread, or another file descriptor.
    pub fn start() -> io::Result<Self> {
        let end = CancellationToken::new();
        let guard = end.clone().drop_guard();
        let threads =
            (1..=count()).map(|number| Thread::start(number, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self { threads, _end: guard })
    }

    /// Serves a connection on the thread that has the fewest.
    pub(crate) fn serve(&self, tracker: &TaskTracker, connection: impl Future<Output = ()> + Send + 'static) {
        let fewest = self.threads.iter().min_by_key(|thread| Arc::strong_count(&thread.connections));
        let Some(thread) = fewest else { return };
        let held = Arc::clone(&thread.connections);
        tracker.spawn_on(
            async move {
                connection.await;
                drop(held);
            },
            &thread.runtime,
        );
    }

    /// Tasks that have begun and not ended.
    pub(crate) fn alive_tasks(&self) -> usize {
        self.threads.iter().map(|thread| thread.runtime.metrics().num_alive_tasks()).sum()
    }
}

impl Thread {
    fn start(number: usize, end: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("connections-{number}")).spawn(move || {
            NUMBER.set(number);
            runtime.block_on(end.cancelled());
        })?;
        Ok(Self { runtime: handle, connections: Arc::default() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_never_ends_leaves_others_their_turn() {
        let endless = async {
            let mut turn = Turn::default();
            loop {
                turn.taken(TURN / 4).await;
            }
        };
        tokio::select! {
            biased;
            () = endless => {}
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn each_connection_goes_where_the_fewest_are_and_ends_with_the_threads() {
        let (threads, tracker) = (Threads::start().unwrap(), TaskTracker::new());
        let (told, mut numbers) = tokio::sync::mpsc::channel(2 * count());
        for _ in 0..2 * count() {
            let told = told.clone();
            threads.serve(&tracker, async move {
                told.send(current()).await.unwrap();
                std::future::pending::<()>().await;
            });
        }
        let mut seen = Vec::new();
        for _ in 0..2 * count() {
            seen.push(numbers.recv().await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=count()).flat_map(|number| [number, number]).collect::<Vec<_>>());
        assert_eq!((threads.alive_tasks(), current()), (2 * count(), 0));
        drop(threads);
        tracker.close();
        tracker.wait().await;
    }
}
