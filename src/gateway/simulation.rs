//! Does every call end once, with its own answer, whatever happens to its backend meanwhile?
//!
//! Each seed is a story: clients call, give up and call again; servers answer, answer late, twice, with garbage, with
//! each other's ids or never; connections break and come back; backends are replaced. The router, the exchanges, the
//! calls, the table of calls in flight, the bulkheads, breakers and retry budgets are the real ones; time is tokio's,
//! held. Only the transport and the supervisor are played.
//!
//! | file | the question it answers |
//! |---|---|
//! | `dice.rs` | what happens next? |
//! | `server.rs` | how does a server behave that cannot be relied on? |
//! | `caller.rs` | what did one client see of its call? |
//! | `tally.rs` | what did all of them see, and may it be so? |
//!
//! A failing seed is named; `SWITCHYARD_SEED=<seed> cargo test --lib simulation` plays it alone.

mod caller;
mod dice;
mod server;
mod tally;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::backend::{
    Backend, BackendSettings, ProcessSettings, TimeoutSettings, ToolSettings, TransportSettings, Vault,
};
use crate::catalog::{CatalogSettings, ExposureSettings};
use crate::resilience::{BreakerSettings, ConcurrencySettings, fix_jitter};
use crate::router::{Fleet, Member, Router, Sealer};

use caller::Caller;
use dice::Dice;
use server::Server;
use tally::Tally;

const SEEDS: u64 = 256;
const BACKENDS: u64 = 2;
/// Steps in which anything happens, and steps in which connections stay as they are: a new one makes circuits forget.
const STEPS: usize = 100;
const STEADY_STEPS: usize = 50;
/// No call lasts longer, whatever its progress.
const TOTAL: Duration = Duration::from_secs(3);
/// Everything is over by then; an hour that nobody waits for.
const END: Duration = Duration::from_secs(3600);

#[test]
fn whatever_happens_every_call_ends_once_and_with_its_own_answer() {
    let chosen = std::env::var("SWITCHYARD_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = chosen.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    let mut calls = 0;
    for seed in seeds {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let told = runtime.block_on(async { Story::begin(seed).play().await });
        calls += told.unwrap_or_else(|wrong| {
            panic!("seed {seed}: {wrong}\nplay it again: SWITCHYARD_SEED={seed} cargo test --lib simulation")
        });
    }
    assert!(calls > 50, "only {calls} calls were made");
}

struct Story {
    dice: Dice,
    router: Arc<Router>,
    servers: Vec<Server>,
    callers: JoinSet<()>,
    tally: Arc<Tally>,
    made: u64,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        fix_jitter(dice.share());
        let tally = Arc::new(Tally::default());
        let servers: Vec<_> =
            (0..BACKENDS).map(|at| Server::start(backend(at), dice.fork(), Arc::clone(&tally))).collect();
        let router = Router::new(CatalogSettings::default(), fleet(&servers), Sealer::new(&[]).unwrap());
        Self { dice, router, servers, callers: JoinSet::new(), tally, made: 0 }
    }

    /// Plays to the end; returns how many calls were made.
    async fn play(mut self) -> Result<u64, String> {
        for _ in 0..STEPS {
            sleep(self.dice.millis(0..25)).await;
            match self.dice.below(100) {
                0..70 => self.call(),
                70..80 => self.server().crash(),
                80..92 => self.server().come_back(),
                92..95 => self.reload(),
                _ => sleep(self.dice.millis(0..400)).await,
            }
        }
        self.servers.iter_mut().for_each(Server::come_back);
        for _ in 0..STEADY_STEPS {
            sleep(self.dice.millis(0..60)).await;
            self.call();
        }
        self.settle().await?;
        self.tally.verify()?;
        Ok(self.made)
    }

    fn server(&mut self) -> &mut Server {
        let at = self.dice.below(BACKENDS) as usize;
        &mut self.servers[at]
    }

    fn call(&mut self) {
        self.made += 1;
        let caller = Caller::new(self.made, &mut self.dice, BACKENDS);
        self.callers.spawn(caller.call(Arc::clone(&self.router), Arc::clone(&self.tally)));
    }

    /// Another configuration: a new backend takes the name, the old one serves its calls to their end.
    fn reload(&mut self) {
        let at = self.dice.below(BACKENDS);
        let new = Server::start(backend(at), self.dice.fork(), Arc::clone(&self.tally));
        let old = std::mem::replace(&mut self.servers[at as usize], new);
        self.router.replace(fleet(&self.servers), CatalogSettings::default());
        self.callers.spawn(old.retire(Arc::clone(&self.tally)));
    }

    /// Everybody is well again and all calls end: then nothing may be left of them, and the next call must succeed.
    async fn settle(&mut self) -> Result<(), String> {
        self.servers.iter_mut().for_each(Server::heal);
        let all = async {
            while let Some(ended) = self.callers.join_next().await {
                ended.unwrap()
            }
        };
        timeout(END, all).await.map_err(|_| "a call was never answered")?;
        // The longest open period, and the answers that come late.
        sleep(END).await;
        for server in &self.servers {
            server.left_over()?;
        }
        for at in 0..BACKENDS {
            self.made += 1;
            let caller = Caller::steady(self.made, at);
            caller.call(Arc::clone(&self.router), Arc::clone(&self.tally)).await;
            self.tally.must_have_succeeded(self.made)?;
        }
        Ok(())
    }
}

fn fleet(servers: &[Server]) -> Fleet {
    let member = |server: &Server| {
        let backend = server.backend();
        let name = backend.name().to_owned();
        let exposure =
            ExposureSettings { backend: name.clone(), prefix: name, ..ExposureSettings::default() };
        Member { backend: Arc::clone(backend), exposure, identity: String::new(), kept: None }
    };
    Fleet::new(servers.iter().map(member).collect())
}

/// Small, so that every limit is met.
fn backend(at: u64) -> Arc<Backend> {
    let process = ProcessSettings {
        command: "none".into(),
        args: Vec::new(),
        env: BTreeMap::new(),
        cwd: std::path::PathBuf::new(),
    };
    let mut settings = BackendSettings::new(&format!("b{at}"), TransportSettings::Stdio(process));
    settings.timeouts = TimeoutSettings {
        connect: Duration::from_millis(300),
        call: Duration::from_secs(1),
        total: TOTAL,
        ..TimeoutSettings::default()
    };
    settings.concurrency = ConcurrencySettings { in_flight: 6, queue_wait: Duration::from_millis(50) };
    settings.breaker = BreakerSettings {
        failures: 4,
        min_calls: 8,
        open: Duration::from_millis(100),
        max_open: Duration::from_secs(60),
        ..BreakerSettings::default()
    };
    let twice = ToolSettings { retry: Some(true), ..ToolSettings::default() };
    settings.tools = BTreeMap::from([(server::TWICE.to_owned(), twice)]);
    // Nothing is reached over HTTP, so nothing is ever put there.
    let vault = Vault::new(Path::new("unused"), &[]);
    Backend::new(settings, None, &vault, Arc::new(|| {}))
}
