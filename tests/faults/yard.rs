//! Eight backends over every transport, a gateway in front of them, and its clients.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::fault::{Era, Transport};
use crate::gateway::Gateway;
use crate::load::{Client, Load, Numbers};
use crate::peer::{Leashes, Peer};

/// For everything to be well after the start, or after a fault.
pub(crate) const HEALING: Duration = Duration::from_secs(60);
/// A call's deadline in every backend.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);

/// Deadlines that let a run be short; all else as it ships.
const SETTINGS: &str = r#"server: { listen: "127.0.0.1:0", limits: { sessions: 20000 } }
admin: { listen: "127.0.0.1:0" }
log: { level: warn }
state_dir: state
defaults:
  timeouts: { connect: 1s, start: 5s, call: 500ms, total: 20s }
  breaker: { open: 500ms, max_open: 2s }
  # Killed over and over by design: a hold as short as the other waits here.
  restart: { backoff: 200ms, max_backoff: 1s, hold: 1s }
"#;

fn patient() -> String {
    SETTINGS.replace("call: 500ms, total: 20s", "call: 20s, total: 25s")
}

/// Everything a scenario needs.
pub(crate) struct Yard {
    pub(crate) gateway: Gateway,
    pub(crate) peers: Vec<Peer>,
    pub(crate) clients: Vec<Arc<Client>>,
    pub(crate) numbers: Numbers,
    directory: TempDir,
    leashes: Leashes,
    settings: String,
}

impl Yard {
    /// The eight, in front of them the gateway, all well.
    pub(crate) async fn start(binary: &Path) -> Self {
        Self::start_with(binary, SETTINGS).await
    }

    /// The same, where calls have time: nothing that is judged hangs on a deadline, so that a machine which stands
    /// still for a moment changes no verdict.
    pub(crate) async fn start_patient(binary: &Path) -> Self {
        Self::start_with(binary, &patient()).await
    }

    /// The same, where few connections and sessions may be open, and a call has time.
    pub(crate) async fn start_narrow(binary: &Path, connections: usize, sessions: usize) -> Self {
        let limits = format!("limits: {{ sessions: {sessions}, connections: {connections} }}");
        Self::start_with(binary, &patient().replace("limits: { sessions: 20000 }", &limits)).await
    }

    /// The same, with a line in the log for each call.
    pub(crate) async fn start_talkative(binary: &Path) -> Self {
        Self::start_with(binary, &patient().replace("level: warn", "level: trace")).await
    }

    /// The same, with the hold after crashes that ships.
    pub(crate) async fn start_holding(binary: &Path) -> Self {
        Self::start_with(binary, &SETTINGS.replace(", hold: 1s", "")).await
    }

    /// The same as [`Self::start`], with a gateway that may have no more than `descriptors` files open.
    pub(crate) async fn start_confined(binary: &Path, descriptors: u32) -> Self {
        Self::behind(&patient(), async |directory| {
            Gateway::start_confined(binary, directory, descriptors).await
        })
        .await
    }

    async fn start_with(binary: &Path, settings: &str) -> Self {
        Self::behind(settings, async |directory| Gateway::start(binary, directory).await).await
    }

    async fn behind(settings: &str, start: impl AsyncFnOnce(&Path) -> Gateway) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let leashes = Leashes::new(directory.path());
        let peers = peers(&leashes).await;
        let config = config(settings, &peers, &leashes);
        std::fs::write(directory.path().join("gateway.yaml"), config).unwrap();
        let gateway = start(directory.path()).await;
        if let Err(ill) = gateway.all_well(HEALING).await {
            panic!("not every backend was reached:\n{ill}\n{}", gateway.log());
        }
        let mut clients = Vec::new();
        for era in [Era::Modern, Era::Legacy, Era::Modern, Era::Legacy] {
            clients.push(Arc::new(Client::connect(&gateway.url, era).await));
        }
        let (numbers, settings) = (Numbers::default(), settings.to_owned());
        Self { gateway, peers, clients, numbers, directory, leashes, settings }
    }

    /// Has a new process take over; the old one is returned.
    pub(crate) async fn upgrade(&mut self, binary: &Path) -> Gateway {
        let new = Gateway::take_over(binary, self.directory.path()).await;
        std::mem::replace(&mut self.gateway, new)
    }

    /// The configuration it was started with.
    pub(crate) fn config(&self) -> String {
        config(&self.settings, &self.peers, &self.leashes)
    }

    /// Where its configuration is.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file beside the configuration.
    pub(crate) fn write_beside(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Puts another file in the place of the configuration.
    pub(crate) fn write(&self, text: &str) {
        let (next, file) =
            (self.directory.path().join("next.yaml"), self.directory.path().join("gateway.yaml"));
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, file).unwrap();
    }

    /// `rate` calls a second to every backend.
    pub(crate) fn load(&self, rate: u32) -> Load {
        let all = self.peers.iter().map(|peer| peer.name).enumerate().collect();
        Load::start(&self.clients, all, rate, &self.numbers)
    }

    /// `rate` calls a second to each of some backends.
    pub(crate) fn load_of(&self, backends: &[usize], rate: u32) -> Load {
        let some = backends.iter().map(|index| (*index, self.peers[*index].name)).collect();
        Load::start(&self.clients, some, rate, &self.numbers)
    }

    /// `rate` calls a second to every backend by clients of their own, which use a connection again only if it was
    /// idle for less than `idle`.
    pub(crate) async fn load_over(&mut self, rate: u32, idle: Duration) -> Load {
        let all = self.peers.iter().map(|peer| peer.name).enumerate().collect();
        let mut own = Vec::new();
        for era in [Era::Modern, Era::Legacy] {
            own.push(Arc::new(Client::connect_for(&self.gateway.url, era, idle).await));
        }
        self.clients.extend(own.iter().map(Arc::clone));
        Load::start(&own, all, rate, &self.numbers)
    }

    /// Calls that backends ran, and how many of them ran more than once.
    pub(crate) fn ran(&self) -> (usize, usize) {
        let totals = self.peers.iter().map(|peer| peer.ledger.totals());
        totals.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// What clients found odd.
    pub(crate) fn odd(&self) -> Vec<String> {
        self.clients.iter().flat_map(|client| client.odd()).collect()
    }
}

async fn peers(leashes: &Leashes) -> Vec<Peer> {
    vec![
        Peer::child("pipe_old", Era::Legacy, leashes),
        Peer::child("pipe_new", Era::Modern, leashes),
        Peer::remote("http_old", Transport::Http, Era::Legacy, leashes).await,
        Peer::remote("http_new", Transport::Http, Era::Modern, leashes).await,
        Peer::remote("sse", Transport::Sse, Era::Legacy, leashes).await,
        Peer::child("pipe_calm", Era::Legacy, leashes),
        Peer::remote("http_calm", Transport::Http, Era::Modern, leashes).await,
        Peer::remote("sse_calm", Transport::Sse, Era::Legacy, leashes).await,
    ]
}

fn config(settings: &str, peers: &[Peer], leashes: &Leashes) -> String {
    let control = leashes.socket.display().to_string();
    let mut text = format!("{settings}backends:\n");
    for peer in peers {
        write!(text, "{}", peer.entry(&control)).unwrap();
    }
    text
}
