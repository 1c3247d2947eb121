//! Who holds too much: a child without a line end, a client that does not read, bodies by the thousand, sessions
//! that nobody ends. Does memory stay under its cap, and is everybody else served?

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::fault::{Era, Fault};
use crate::judge::Bar;
use crate::load::{Client, Tally};
use crate::process::resident_kib;
use crate::report::Report;
use crate::yard::{HEALING, Yard};

const MIB: u64 = 1024;
/// Of memory above what the gateway needs to serve, by the design of each bound, in KiB. Bodies: 256 MiB that are
/// counted, which stand as they came, as they are rewritten, and as they are sent.
const CHILD_CAP: u64 = 64 * MIB;
const READER_CAP: u64 = 64 * MIB;
const BODIES_CAP: u64 = 768 * MIB;
/// A session, with its entry in the table.
const SESSION_KIB: u64 = 20;
/// Bodies under way.
const AT_ONCE: usize = 250;

/// What one scenario measured.
struct Outcome {
    name: String,
    grown_kib: u64,
    cap_kib: u64,
    others: Tally,
    remark: String,
}

/// Runs all of them.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let yard = Yard::start_patient(&plan.binary).await;
    report.section(
        "Who holds too much",
        "Memory of the gateway above what it was before; the other backends are called all the time.",
    );
    report.columns(&[
        "what",
        "memory grew by at most, MiB",
        "cap, MiB",
        "other calls sent",
        "other calls answered",
        "",
    ]);
    for outcome in [
        idle_sessions(plan, &yard).await,
        endless_line(plan, &yard).await,
        deaf_reader(plan, &yard).await,
        large_bodies(plan, &yard).await,
    ] {
        let others = outcome.others;
        report.row(&[
            outcome.name.clone(),
            format!("{:.1}", mib(outcome.grown_kib)),
            format!("{:.1}", mib(outcome.cap_kib)),
            others.sent.to_string(),
            others.ok.to_string(),
            outcome.remark.clone(),
        ]);
        let grown = format!("{:.1} of {:.1} MiB", mib(outcome.grown_kib), mib(outcome.cap_kib));
        report.bar(Bar::new(
            &outcome.name,
            "memory ≤ the stated cap",
            grown,
            outcome.grown_kib <= outcome.cap_kib,
        ));
        let Tally { refused, failed, lost, .. } = others;
        let served =
            format!("{} of {}; {refused} refused, {failed} failed, {lost} lost", others.ok, others.sent);
        report.bar(Bar::new(&outcome.name, "no call of the others failed", served, others.ok == others.sent));
    }
}

/// Runs `work` under load on the backends that `calm` admits; how much memory it cost at most, and the calls.
async fn watched(plan: &Plan, yard: &Yard, calm: &[usize], work: impl Future<Output = ()>) -> (u64, Tally) {
    let _ = yard.gateway.all_well(HEALING).await;
    let before = resident_kib(yard.gateway.pid());
    let load = yard.load_of(calm, plan.rate());
    let mut most = before;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => break,
            () = sleep(Duration::from_millis(20)) => most = most.max(resident_kib(yard.gateway.pid())),
        }
    }
    most = most.max(resident_kib(yard.gateway.pid()));
    (most - before, Tally::of(&load.finish().await))
}

async fn endless_line(plan: &Plan, yard: &Yard) -> Outcome {
    let (sick, calm) = (0, [1, 2, 3, 4, 5, 6, 7]);
    let bytes = if plan.quick { 256 } else { 1_024 };
    let work = async {
        yard.peers[sick].inject(Fault::HugeFrame);
        let mut written = 0;
        let client = &yard.clients[0];
        // The gateway ends a child at its bound, so it takes several of them to write it all.
        let until = Instant::now() + Duration::from_secs(60);
        while written < bytes && Instant::now() < until {
            if client.call(yard.peers[sick].name, yard.numbers.draw(), 0).await
                == crate::load::Verdict::Failed
            {
                written += 64;
            }
            sleep(Duration::from_millis(20)).await;
        }
        yard.peers[sick].heal();
    };
    let (grown_kib, others) = watched(plan, yard, &calm, work).await;
    let name = format!("a child that writes {bytes} MiB without a line end, in lines of 64 MiB");
    Outcome { name, grown_kib, cap_kib: CHILD_CAP, others, remark: String::new() }
}

/// Asks for more than any buffer between the two takes, and never reads.
async fn deaf_reader(plan: &Plan, yard: &Yard) -> Outcome {
    let all: Vec<_> = (0..yard.peers.len()).collect();
    let readers = if plan.quick { 20 } else { 100 };
    let work = async {
        let authority = yard.gateway.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        let mut deaf = Vec::new();
        for _ in 0..readers {
            let client = Client::connect(&yard.gateway.url, Era::Legacy).await;
            let mut stream = TcpStream::connect(&authority).await.unwrap();
            let head = format!(
                "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: {}\r\n\r\n",
                client.session().unwrap_or_default()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut asking = TcpStream::connect(&authority).await.unwrap();
            asking.write_all(&client.many_lists(2_000)).await.unwrap();
            deaf.push((stream, asking));
        }
        // Changes of the catalog, which each stream is told of.
        for _ in 0..10 {
            yard.peers[2].inject(Fault::EndlessCursor);
            sleep(Duration::from_millis(200)).await;
            yard.peers[2].heal();
            sleep(Duration::from_millis(200)).await;
        }
    };
    let (grown_kib, others) = watched(plan, yard, &all, work).await;
    let name = format!("{readers} clients that ask 2 000 times and never read");
    Outcome { name, grown_kib, cap_kib: READER_CAP, others, remark: String::new() }
}

/// To the backends that may be slow, while the calm ones are called.
async fn large_bodies(plan: &Plan, yard: &Yard) -> Outcome {
    let (busy, calm) = (0..5, [5, 6, 7]);
    let count = if plan.quick { 100 } else { 1_000 };
    let mut tally = Tally::default();
    let work = async {
        let client = Arc::new(Client::connect(&yard.gateway.url, Era::Modern).await);
        let (room, mut calls) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for turn in 0..count {
            let (client, number, room) = (Arc::clone(&client), yard.numbers.draw(), Arc::clone(&room));
            let name = yard.peers[turn % busy.len()].name;
            calls.spawn(async move {
                let _place = room.acquire().await;
                client.call_large(name, number, 4 * 1024 * 1024 - 1024).await
            });
        }
        while let Some(Ok(verdict)) = calls.join_next().await {
            tally.add(verdict);
        }
    };
    let (grown_kib, others) = watched(plan, yard, &calm, work).await;
    let failed = tally.refused + tally.failed;
    let remark =
        format!("{} answered, {failed} refused or failed with an answer, {} without", tally.ok, tally.lost);
    let name = format!("{count} bodies of 4 MiB, {AT_ONCE} at a time");
    Outcome { name, grown_kib, cap_kib: BODIES_CAP, others, remark }
}

/// Opened, ended, and opened again: what the first ones took is there for the next.
async fn idle_sessions(plan: &Plan, yard: &Yard) -> Outcome {
    let all: Vec<_> = (0..yard.peers.len()).collect();
    let count: u32 = if plan.quick { 2_000 } else { 10_000 };
    let mut remark = String::new();
    let work = async {
        let client = Client::connect(&yard.gateway.url, Era::Modern).await;
        let open = async || {
            let mut sessions = Vec::new();
            for _ in 0..count {
                sessions.push(client.initialize().await);
            }
            (sessions, resident_kib(yard.gateway.pid()))
        };
        let before = resident_kib(yard.gateway.pid());
        let (sessions, first) = open().await;
        for session in sessions {
            client.end(&session).await;
        }
        let (_, second) = open().await;
        let each = |from: u64, to: u64| {
            f64::from(u32::try_from(to.saturating_sub(from)).unwrap()) / f64::from(count)
        };
        let (once, again) = (each(before, first), each(first, second));
        remark = format!("{once:.1} KiB each; opened again after they had ended, {again:.1} KiB more each");
    };
    let (grown_kib, others) = watched(plan, yard, &all, work).await;
    Outcome {
        name: format!("{count} idle sessions"),
        grown_kib,
        cap_kib: u64::from(count) * SESSION_KIB,
        others,
        remark,
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
