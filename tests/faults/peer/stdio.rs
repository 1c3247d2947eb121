//! A server on standard input and output, in a process that the gateway launches.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::mcp::{Message, changed};
use crate::fault::{Era, Fault};

/// Between two bytes of a dripping answer.
const DRIP: Duration = Duration::from_millis(20);
/// Larger than any message a gateway should take, in pieces of 64 KiB.
const HUGE: usize = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The backend's name
    #[arg(long)]
    name: String,
    #[arg(long, value_enum)]
    era: Era,
    /// The socket to call back on
    #[arg(long)]
    control: PathBuf,
}

/// What all threads of the child share.
struct Child {
    era: Era,
    fault: Mutex<Fault>,
    control: Mutex<UnixStream>,
}

/// Serves until its input ends, or as its fault says.
pub(crate) fn serve(options: &Options) {
    let mut control = UnixStream::connect(&options.control).unwrap();
    writeln!(control, "{} {}", options.name, std::process::id()).unwrap();
    let mut orders = BufReader::new(control.try_clone().unwrap()).lines();
    let mut next = move || orders.next()?.ok()?.parse::<Fault>().ok();
    let first = next().unwrap_or(Fault::None);
    let child =
        Arc::new(Child { era: options.era, fault: Mutex::new(Fault::None), control: Mutex::new(control) });
    child.obey(first);
    let obedient = Arc::clone(&child);
    std::thread::spawn(move || {
        while let Some(fault) = next() {
            obedient.obey(fault);
        }
    });
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        child.take(line.as_bytes());
    }
}

impl Child {
    fn obey(&self, fault: Fault) {
        let before = std::mem::replace(&mut *self.fault.lock(), fault);
        match fault {
            Fault::Refuse => die(),
            Fault::HalfClose => {
                // Lives on without an output.
                let _ = Command::new("sh").args(["-c", "exec >&-; exec sleep 600"]).exec();
            }
            Fault::EndlessCursor => say(&changed()),
            Fault::None if before == Fault::EndlessCursor => say(&changed()),
            // The half line ends here, and is garbage.
            Fault::None if before == Fault::HalfLine => say(""),
            _ => {}
        }
    }

    fn take(self: &Arc<Self>, line: &[u8]) {
        let Some(message) = Message::parse(line) else { return };
        let Some(call) = message.call() else { return self.answer(&message) };
        let _ = writeln!(self.control.lock(), "{}", call.number);
        if call.delay_ms == 0 {
            return self.answer(&message);
        }
        let child = Arc::clone(self);
        std::thread::spawn(move || {
            pause(Duration::from_millis(call.delay_ms));
            child.answer(&message);
        });
    }

    fn answer(&self, message: &Message) {
        let fault = *self.fault.lock();
        if let Some(acknowledgement) = message.acknowledgement() {
            return say(&acknowledgement);
        }
        let Some(answer) = message.answer(self.era, fault == Fault::EndlessCursor) else { return };
        let half = &answer[..answer.len() / 2];
        match fault {
            Fault::Blackhole => {}
            Fault::Drip => drip(&answer),
            Fault::Garbage => say("this is no message"),
            Fault::HalfLine => write(half),
            Fault::Crash => {
                write(half);
                die();
            }
            Fault::HugeFrame => huge(),
            _ => say(&answer),
        }
    }
}

fn say(message: &str) {
    write(&format!("{message}\n"));
}

/// Standard output that is closed is the gateway's way to end this process.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        die();
    }
}

fn drip(answer: &str) {
    for character in answer.chars() {
        write(&character.to_string());
        pause(DRIP);
    }
    write("\n");
}

fn huge() {
    let piece = "a".repeat(64 * 1024);
    for _ in 0..HUGE {
        write(&piece);
    }
    write("\n");
}

#[expect(clippy::disallowed_methods, reason = "a crash is the point")]
fn die() {
    std::process::exit(3);
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, without a runtime")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
