//! The gateway may open few files, and clients want more of them than there are: does it spin, are those served
//! who are connected already, and is everybody once there is room again?

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::Plan;
use crate::judge::Bar;
use crate::load::{Client, Tally, Verdict};
use crate::process;
use crate::report::Report;
use crate::yard::Yard;

/// Some fifty-five are open on two cores when eight backends are connected, four more on each further core. Half of all
/// are for connections of clients, so fewer are left for those than may be: it is `accept` that fails.
const DESCRIPTORS: u32 = 88;
const DESCRIPTORS_OF_A_CORE: u32 = 4;
/// Each takes one descriptor, and one towards the backend that is slow. Those who are not accepted wait in the
/// kernel's queue, which may be no longer than 128.
const CLIENTS: usize = 120;
/// The one that is slow, over HTTP, and how long it takes: longer than they are held.
const SLOW: usize = 6;
const DELAY_MS: u64 = 15_000;
/// Reached by a pipe, so that calls of it need no descriptor.
const PIPES: [usize; 3] = [0, 1, 5];
const HELD: Duration = Duration::from_secs(3);
/// From the end of the crowd until every backend answers.
const RECOVERY: Duration = Duration::from_secs(60);
/// The shortest wait after an `accept` that failed.
const BACKOFF: Duration = Duration::from_millis(20);
const FAILED_ACCEPT: &str = "accepting a connection failed";

/// Runs it.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let most = descriptors();
    let mut yard = Yard::start_confined(&plan.binary, most).await;
    let pid = yard.gateway.pid();
    let client = Arc::clone(&yard.clients[0]);
    for index in PIPES {
        client.call(yard.peers[index].name, yard.numbers.draw(), 0).await;
    }
    let crowd = crowd(&yard).await;
    let (worked, failed, began) = (process::worked(pid), yard.gateway.said(FAILED_ACCEPT), Instant::now());
    let (mut others, mut most_open) = (Tally::default(), 0);
    for turn in 0.. {
        let name = yard.peers[PIPES[turn % PIPES.len()]].name;
        others.add(client.call(name, yard.numbers.draw(), 0).await);
        most_open = most_open.max(process::descriptors(pid));
        sleep(Duration::from_millis(20)).await;
        let ran_out = yard.gateway.said(FAILED_ACCEPT) > failed;
        if began.elapsed() > if ran_out { HELD } else { RECOVERY } {
            break;
        }
    }
    let (held, worked) = (began.elapsed(), process::worked(pid) - worked);
    let retries = yard.gateway.said(FAILED_ACCEPT) - failed;
    let most_retries = held.div_duration_f64(BACKOFF);
    drop(crowd);
    let recovered = recovery(&yard).await;

    let share = 100.0 * worked.as_secs_f64() / held.as_secs_f64();
    report.section(
        "No file descriptors left",
        &format!(
            "The gateway may have {most} files open; {CLIENTS} clients connect and call a backend that is \
             slow, and are held for {} s.",
            HELD.as_secs()
        ),
    );
    report.columns(&[
        "most open",
        "accepts that failed meanwhile",
        "processor time, share of one",
        "other calls sent",
        "answered",
        "all served again after, ms",
    ]);
    let after = recovered.map_or("never".to_owned(), |after| after.as_millis().to_string());
    report.row(&[
        most_open.to_string(),
        retries.to_string(),
        format!("{share:.0} %"),
        others.sent.to_string(),
        others.ok.to_string(),
        after.clone(),
    ]);
    let served = format!("{} of {}", others.ok, others.sent);
    let is_running = yard.gateway.is_running();
    for (text, measured, is_met) in [
        ("descriptors did run out", retries.to_string(), retries > 0),
        (
            "no spinning: an accept that fails is waited out",
            format!("{retries} in {:.1} s", held.as_secs_f64()),
            f64::from(u32::try_from(retries).unwrap()) <= most_retries,
        ),
        (
            "no spinning: less than half a processor",
            format!("{share:.0} %"),
            share < 50.0 || report.is_quick(),
        ),
        ("who is connected is served", served, others.ok == others.sent),
        ("recovery by itself", after, recovered.is_some() && is_running),
    ] {
        report.bar(Bar::new("descriptors", text, measured, is_met));
    }
    for odd in yard.odd() {
        println!("  odd: {odd}");
    }
}

fn descriptors() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(32));
    DESCRIPTORS + DESCRIPTORS_OF_A_CORE * u32::try_from(cores).unwrap()
}

/// Connections beyond what there is, each with a call under way.
async fn crowd(yard: &Yard) -> Vec<TcpStream> {
    let authority = yard.gateway.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let mut crowd = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(&authority).await.unwrap();
        let call = yard.clients[0].bytes_of_call(yard.peers[SLOW].name, yard.numbers.draw(), DELAY_MS);
        stream.write_all(&call).await.unwrap();
        crowd.push(stream);
    }
    crowd
}

/// How long it takes until a new client is served by every backend.
async fn recovery(yard: &Yard) -> Option<Duration> {
    let began = Instant::now();
    let client = Client::connect(&yard.gateway.url, crate::fault::Era::Modern).await;
    while began.elapsed() < RECOVERY {
        let mut well = 0;
        for peer in &yard.peers {
            well += usize::from(client.call(peer.name, yard.numbers.draw(), 0).await == Verdict::Ok);
        }
        if well == yard.peers.len() {
            return Some(began.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}
