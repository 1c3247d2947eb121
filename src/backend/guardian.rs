//! What ends the children of a gateway that was killed and cannot do it itself?
//!
//! One small process beside the gateway, this program once more, at the other end of a pipe. It knows the
//! children's mark and is told their process groups; when the pipe ends, so has the gateway, and whatever is left
//! is killed. It belongs to no backend: one is enough for all of them.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

use super::groups::{self, groups};
use super::marks::Mark;
use crate::telemetry::LogLimit;

/// The command that this program is started with as a guardian.
const COMMAND: &str = "guard";
/// Before a guardian that ended is replaced.
const AGAIN: Duration = Duration::from_secs(1);
/// A child that was being started when the gateway ended shows its mark a moment later.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

const GUARDIAN_LINES: LogLimit = LogLimit::new("the guardian ended", 2);

/// Starts the guardian, and another one should it end. To be called once, before any child is started.
pub fn start_guardian() {
    tokio::spawn(async {
        loop {
            let reason = match start() {
                Ok((guardian, pipe)) => serve(guardian, pipe).await,
                Err(error) => error.to_string(),
            };
            if GUARDIAN_LINES.admits("") {
                tracing::warn!(
                    reason,
                    "nothing would end the backends' processes if the gateway were killed now"
                );
            }
            sleep(AGAIN).await;
        }
    });
}

fn start() -> io::Result<(Child, ChildStdin)> {
    let mut command = Command::new(own_program()?);
    // A group of its own, because it must outlive what a terminal sends; no environment, because it must not
    // be found as one of the children of another gateway.
    // The mark it is told at once: between its start and the first news the gateway may be killed.
    command.args([COMMAND, Mark::of_all().as_str()]).env_clear().process_group(0).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut guardian = command.spawn()?;
    let pipe = guardian.stdin.take().ok_or_else(|| io::Error::other("the guardian has no input"))?;
    Ok((guardian, pipe))
}

/// The program that runs, also when its file was replaced meanwhile.
fn own_program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

/// Tells the guardian of every change, until it ends; returns why.
async fn serve(mut guardian: Child, mut pipe: ChildStdin) -> String {
    let (mut groups, mut told) = (groups(), BTreeSet::new());
    let mut news = String::new();
    loop {
        let now = groups.borrow_and_update().clone();
        now.difference(&told).for_each(|group| news.push_str(&format!("+{group}\n")));
        told.difference(&now).for_each(|group| news.push_str(&format!("-{group}\n")));
        told = now;
        if let Err(error) = pipe.write_all(news.as_bytes()).await {
            return format!("the guardian takes no news: {error}");
        }
        news.clear();
        tokio::select! {
            _ = groups.changed() => {}
            ended = guardian.wait() => return format!("the guardian ended: {ended:?}"),
        }
    }
}

/// The guardian's own work: reads until the gateway is gone, then kills what is left of its groups, and what has
/// its `mark`.
#[expect(clippy::disallowed_methods, reason = "a process of its own, without a runtime")]
pub fn guard(mark: &str, input: impl Read) {
    let mut left = BTreeSet::new();
    for line in BufReader::new(input).lines().map_while(Result::ok) {
        let group = line.get(1..).and_then(|group| group.parse().ok());
        let _ = match (line.get(..1), group) {
            (Some("+"), Some(group)) => left.insert(group),
            (Some("-"), Some(group)) => left.remove(&group),
            _ => false,
        };
    }
    groups::kill(&left);
    let mark = Mark::told(mark);
    for _ in 0..LOOKS {
        let _ = mark.as_ref().map(Mark::kill);
        std::thread::sleep(BETWEEN_LOOKS);
    }
}
