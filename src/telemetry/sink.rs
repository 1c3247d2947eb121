//! How does a line reach standard error without the caller waiting for it?
//!
//! Callers append to a bounded buffer, one thread writes it. A reader that stalls, a pipe without a reader and a full
//! disk cost lines, which are counted, and never the time or the life of a caller.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::process;

/// Bytes that wait to be written; as many again may be on their way.
const CAPACITY: usize = 1024 * 1024;
/// Memory that an idle buffer keeps.
const IDLE_CAPACITY: usize = 64 * 1024;
/// Between two attempts at a terminal or pipe that another process made non-blocking.
const RETRY: Duration = Duration::from_millis(20);

/// Where lines are put.
#[derive(Debug, Default)]
pub(super) struct Sink {
    buffer: Mutex<Buffer>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Buffer {
    waiting: Vec<u8>,
    is_writing: bool,
    /// Lines that were dropped since that was last reported.
    dropped: u64,
}

/// The one before standard error. Its thread starts with the first use.
pub(super) fn stderr() -> &'static Sink {
    static SINK: LazyLock<Arc<Sink>> = LazyLock::new(|| {
        let sink = Arc::<Sink>::default();
        let writer = Arc::clone(&sink);
        // Without the thread lines are dropped and counted, as when nothing takes them.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_to(out(), report));
        sink
    });
    &SINK
}

/// A descriptor of its own: the lock of `io::stderr` is not held while a write blocks.
fn out() -> Box<dyn Write> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stderr()),
    }
}

fn report(lines: u64) {
    tracing::warn!(lines, "log lines were dropped because standard error did not take them");
}

impl Sink {
    /// Appends one or more whole lines, or drops them. Does not block.
    pub(super) fn put(&self, text: &[u8]) {
        let mut buffer = self.buffer.lock();
        if buffer.waiting.len() + text.len() > CAPACITY {
            let lines = count(text);
            buffer.dropped += lines;
            drop(buffer);
            return process::log_lines_dropped(lines);
        }
        buffer.waiting.extend_from_slice(text);
        self.filled.notify_one();
    }

    /// Waits until everything was written or dropped, at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut buffer = self.buffer.lock();
        while buffer.is_writing || !buffer.waiting.is_empty() {
            if self.emptied.wait_until(&mut buffer, deadline).timed_out() {
                return;
            }
        }
    }

    /// Writes what is put, for ever. `report` is told how many lines were dropped, once writing works again.
    fn write_to(&self, mut out: impl Write, mut report: impl FnMut(u64)) {
        let (mut batch, mut is_torn) = (Vec::new(), false);
        loop {
            self.take(&mut batch);
            match write_all(&mut out, &batch, &mut is_torn) {
                Ok(()) => {
                    let dropped = std::mem::take(&mut self.buffer.lock().dropped);
                    if dropped > 0 {
                        report(dropped);
                    }
                }
                Err(lines) => {
                    self.buffer.lock().dropped += lines;
                    process::log_lines_dropped(lines);
                }
            }
        }
    }

    /// Waits for text, and says meanwhile that none is being written.
    fn take(&self, batch: &mut Vec<u8>) {
        batch.clear();
        batch.shrink_to(IDLE_CAPACITY);
        let mut buffer = self.buffer.lock();
        buffer.is_writing = false;
        while buffer.waiting.is_empty() {
            self.emptied.notify_all();
            self.filled.wait(&mut buffer);
        }
        buffer.is_writing = true;
        std::mem::swap(&mut buffer.waiting, batch);
    }
}

/// Writes all of it, or says how many lines were not written. A line that was cut by an error is ended before the next.
fn write_all(out: &mut impl Write, text: &[u8], is_torn: &mut bool) -> Result<(), u64> {
    if *is_torn {
        write_rest(out, b"\n").map_err(|_| count(text))?;
        *is_torn = false;
    }
    write_rest(out, text).map_err(|rest| {
        let written = text.len() - rest.len();
        *is_torn = written > 0 && !text[..written].ends_with(b"\n");
        count(rest)
    })
}

/// Blocks for as long as `out` does.
fn write_rest<'a>(out: &mut impl Write, mut rest: &'a [u8]) -> Result<(), &'a [u8]> {
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(rest),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY),
            Err(_) => return Err(rest),
        }
    }
    Ok(())
}

/// How many lines, a last one without its end included.
fn count(text: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', text).count() as u64;
    ends + u64::from(!text.is_empty() && !text.ends_with(b"\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// For a thread of the test to have its turn on a busy machine.
    const LONG: Duration = Duration::from_secs(60);

    /// What each write does, told by the test.
    struct Scripted {
        verdicts: Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let most = self.verdicts.recv().unwrap_or(Ok(usize::MAX))?;
            let text = &text[..most.min(text.len())];
            self.written.lock().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Bench {
        sink: Arc<Sink>,
        verdicts: SyncSender<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
        reported: Receiver<u64>,
    }

    fn bench() -> Bench {
        let (verdicts, told) = sync_channel(16);
        let (reports, reported) = sync_channel(16);
        let (sink, written) = (Arc::<Sink>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let out = Scripted { verdicts: told, written: Arc::clone(&written) };
        let writer = Arc::clone(&sink);
        thread::spawn(move || {
            writer.write_to(out, |lines| {
                let _ = reports.send(lines);
            })
        });
        Bench { sink, verdicts, written, reported }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_that_are_counted_and_reported_once_it_reads_again() {
        let Bench { sink, verdicts, written, reported } = bench();
        let line = vec![b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        // The writer may have taken the first lines before it stalls, so up to twice the capacity fits.
        for _ in 0..3 * CAPACITY / line.len() {
            sink.put(&line);
        }
        let dropped = sink.buffer.lock().dropped;
        assert!((1024..=2048).contains(&dropped), "{dropped}");
        drop(verdicts);
        assert_eq!(reported.recv_timeout(LONG).unwrap(), dropped);
        sink.flush(LONG);
        assert_eq!(count(&written.lock()) + dropped, 3072);
    }

    #[test]
    fn a_sink_that_fails_loses_its_lines_only_and_a_torn_line_is_ended() {
        let Bench { sink, verdicts, written, reported } = bench();
        verdicts.send(Ok(2)).unwrap();
        verdicts.send(Err(io::Error::from(io::ErrorKind::StorageFull))).unwrap();
        sink.put(b"first\nsecond\n");
        sink.flush(LONG);
        assert_eq!(sink.buffer.lock().dropped, 2);
        drop(verdicts);
        sink.put(b"third\n");
        assert_eq!(reported.recv_timeout(LONG).unwrap(), 2);
        assert_eq!(written.lock().as_slice(), b"fi\nthird\n");
    }

    #[test]
    fn a_flush_ends_at_its_limit() {
        let Bench { sink, verdicts, .. } = bench();
        sink.put(b"never written\n");
        sink.flush(Duration::from_millis(1));
        assert!(sink.buffer.lock().is_writing || !sink.buffer.lock().waiting.is_empty());
        drop(verdicts);
        sink.flush(LONG);
    }
}
