//! What ends the children of a gateway that was killed and cannot do it itself?
//!
//! One small process beside the gateway, this program once more, at the other end of a pipe. It knows the
//! children's mark and is told their process groups, and which orphans live with the gateway; when the pipe ends, so has
//! the gateway, and whatever is left is killed, with all that descends from it. It belongs to no backend: one is enough
//! for all of them.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

use super::groups::{self, groups, orphans};
use super::launch::{Own, launch};
use super::marks::Mark;
use super::process_table::{Process, descendants, processes};
use crate::telemetry::LogLimit;

/// The command that this program is started with as a guardian.
const COMMAND: &str = "guard";
/// Stands before the number of an orphan in what the guardian is told.
const ORPHAN: &str = "orphan ";
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
                Ok((guardian, _own, pipe)) => serve(guardian, pipe).await,
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

fn start() -> io::Result<(Child, Own, ChildStdin)> {
    let mut command = Command::new(own_program()?);
    // A group of its own, because it must outlive what a terminal sends; no environment, because it must not
    // be found as one of the children of another gateway.
    // The mark it is told at once: between its start and the first news the gateway may be killed.
    command.args([COMMAND, Mark::of_all().as_str()]).env_clear().process_group(0).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut guardian, own) = launch(&mut command)?;
    let pipe = guardian.stdin.take().ok_or_else(|| io::Error::other("the guardian has no input"))?;
    Ok((guardian, own, pipe))
}

/// The program that runs, also when its file was replaced meanwhile.
fn own_program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

/// Tells the guardian of every change, until it ends; returns why.
async fn serve(mut guardian: Child, mut pipe: ChildStdin) -> String {
    let (mut groups, mut orphans) = (groups(), orphans());
    let (mut told_groups, mut told_orphans) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut news = String::new();
        write_news(&mut news, "", &mut told_groups, groups.borrow_and_update().clone());
        write_news(&mut news, ORPHAN, &mut told_orphans, orphans.borrow_and_update().clone());
        if let Err(error) = pipe.write_all(news.as_bytes()).await {
            return format!("the guardian takes no news: {error}");
        }
        tokio::select! {
            _ = groups.changed() => {}
            _ = orphans.changed() => {}
            ended = guardian.wait() => return format!("the guardian ended: {ended:?}"),
        }
    }
}

/// What differs between what was `told` and how it is `now`.
fn write_news(news: &mut String, kind: &str, told: &mut BTreeSet<i32>, now: BTreeSet<i32>) {
    now.difference(told).for_each(|one| news.push_str(&format!("+{kind}{one}\n")));
    told.difference(&now).for_each(|one| news.push_str(&format!("-{kind}{one}\n")));
    *told = now;
}

/// What the guardian was told and is still true.
#[derive(Debug, Default)]
struct Told {
    groups: BTreeSet<i32>,
    orphans: BTreeSet<i32>,
}

impl Told {
    fn take(&mut self, line: &str) {
        let Some((sign, rest)) = line.split_at_checked(1) else { return };
        let (all, number) = match rest.strip_prefix(ORPHAN) {
            Some(number) => (&mut self.orphans, number),
            None => (&mut self.groups, rest),
        };
        let Ok(number) = number.parse() else { return };
        let _ = match sign {
            "+" => all.insert(number),
            _ => all.remove(&number),
        };
    }

    /// Kills all of them and what has the `mark`, with all that descends from those. Looks first who descends from whom:
    /// children learn as this process does that the gateway has ended, and what descends from one that ends itself cannot
    /// be found any more. They are not stopped for that: the kernel sends SIGHUP to a stopped group that loses its parent.
    fn kill(&self, mark: Option<&Mark>) {
        let all = processes();
        let marked = mark.map(Mark::processes).unwrap_or_default();
        let is_root = |one: &Process| {
            self.groups.contains(&one.group)
                || self.orphans.contains(&one.pid)
                || marked.iter().any(|pid| pid.as_raw_nonzero().get() == one.pid)
        };
        let found = descendants(&all, is_root);
        groups::kill(&self.groups);
        for pid in found.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The guardian's own work: reads until the gateway is gone, then kills what is left of its groups, and what has
/// its `mark`.
#[expect(clippy::disallowed_methods, reason = "a process of its own, without a runtime")]
pub fn guard(mark: &str, input: impl Read) {
    let mut told = Told::default();
    for line in BufReader::new(input).lines().map_while(Result::ok) {
        told.take(&line);
    }
    let mark = Mark::told(mark);
    told.kill(mark.as_ref());
    for _ in 0..LOOKS {
        let _ = mark.as_ref().map(Mark::kill);
        std::thread::sleep(BETWEEN_LOOKS);
    }
}
