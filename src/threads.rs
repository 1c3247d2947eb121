//! Which thread serves a client's connection?
//!
//! One of as many as there are cores, each with a runtime of its own, for as long as the connection lasts: its requests
//! are read, sent to their backends and answered there, and nothing on the way is handed from core to core. The
//! threads of the main runtime do everything that is not about one connection: backends, health, the catalog, what
//! operators ask.

use std::cell::Cell;
use std::io;
use std::sync::LazyLock;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

thread_local!(static NUMBER: Cell<usize> = const { Cell::new(0) });

/// The number of the thread this runs on, from 1; 0 on any other thread.
pub(crate) fn number() -> usize {
    NUMBER.get()
}

/// How many threads there are.
pub(crate) fn count() -> usize {
    static COUNT: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *COUNT
}

/// The threads that serve connections; they end when this is dropped, and drop what they have not finished.
#[derive(Debug)]
pub struct Threads {
    runtimes: Vec<Handle>,
    _end: DropGuard,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// What the system says against another thread, or another file descriptor.
    pub fn start() -> io::Result<Self> {
        let end = CancellationToken::new();
        let runtimes = (1..=count()).map(|number| start(number, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self { runtimes, _end: end.drop_guard() })
    }

    /// The one with the least to do.
    pub(crate) fn least(&self) -> Option<&Handle> {
        self.runtimes.iter().min_by_key(|runtime| runtime.metrics().num_alive_tasks())
    }

    /// Tasks that have begun and not ended.
    pub(crate) fn alive_tasks(&self) -> usize {
        self.runtimes.iter().map(|runtime| runtime.metrics().num_alive_tasks()).sum()
    }
}

fn start(number: usize, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("connections-{number}")).spawn(move || {
        NUMBER.set(number);
        runtime.block_on(end.cancelled());
    })?;
    Ok(handle)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_to_the_thread_with_the_least_to_do_and_ends_with_the_threads() {
        let threads = Threads::start().unwrap();
        let mut numbers = Vec::new();
        let held: Vec<_> = (0..count())
            .map(|_| {
                let (told, number) = tokio::sync::oneshot::channel();
                numbers.push(number);
                threads.least().unwrap().spawn(async move {
                    told.send(super::number()).unwrap();
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        let mut seen = Vec::new();
        for number in numbers {
            seen.push(number.await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=count()).collect::<Vec<_>>());
        assert_eq!((threads.alive_tasks(), number()), (count(), 0));
        drop(threads);
        for task in held {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }
}
