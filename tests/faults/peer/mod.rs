//! The backends: ordinary MCP servers that can be made sick on demand.

mod drip;
mod hosted;
mod leash;
mod mcp;
pub(crate) mod remote;
mod sse;
pub(crate) mod stdio;
mod streamable;
mod unruly;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::fault::{Era, Fault, Transport};
use hosted::Hosted;
use leash::Leash;
pub(crate) use leash::Leashes;
pub(crate) use unruly::Unruly;

/// What a backend was asked to run, by the number of the call.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<u64>>);

impl Ledger {
    fn ran(&self, call: u64) {
        self.0.lock().push(call);
    }

    /// Calls that arrived, and how many of them had arrived before.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let mut calls = self.0.lock().clone();
        let all = calls.len();
        calls.sort_unstable();
        calls.dedup();
        (all, all - calls.len())
    }
}

/// One backend.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) transport: Transport,
    pub(crate) era: Era,
    pub(crate) ledger: Arc<Ledger>,
    leash: Arc<Leash>,
    /// None of one that the gateway launches.
    hosted: Option<Hosted>,
}

impl Peer {
    /// A server over HTTP, in a process that is started anew whenever it ends.
    pub(crate) async fn remote(
        name: &'static str,
        transport: Transport,
        era: Era,
        leashes: &Leashes,
    ) -> Self {
        let ledger = Arc::new(Ledger::default());
        let leash = leashes.add(name, Arc::clone(&ledger));
        let hosted = Hosted::start(name, transport, era, &leashes.socket).await;
        Self { name, transport, era, ledger, leash, hosted: Some(hosted) }
    }

    /// A server that the gateway launches.
    pub(crate) fn child(name: &'static str, era: Era, leashes: &Leashes) -> Self {
        let ledger = Arc::new(Ledger::default());
        let leash = leashes.add(name, Arc::clone(&ledger));
        Self { name, transport: Transport::Stdio, era, ledger, leash, hosted: None }
    }

    /// Its lines in `gateway.yaml`.
    pub(crate) fn entry(&self, control: &str) -> String {
        let name = self.name;
        // The calm ones are to answer whenever they are asked, however busy the machine is.
        let patient = ", timeouts: { call: 20s }, concurrency: { in_flight: 1024 }";
        let more = if name.ends_with("calm") { patient } else { "" };
        match &self.hosted {
            Some(hosted) => format!("  {name}: {{ {}{more} }}\n", hosted.entry(self.transport)),
            None => {
                let program = std::env::current_exe().unwrap();
                let era = if self.era == Era::Legacy { "legacy" } else { "modern" };
                format!(
                    "  {name}: {{ command: \"{}\", args: [peer, --name, {name}, --era, {era}, --control, \"{control}\"]{more} }}\n",
                    program.display()
                )
            }
        }
    }

    /// Makes it sick, until [`Self::heal`].
    pub(crate) fn inject(&self, fault: Fault) {
        self.leash.inject(fault);
    }

    /// Processes that were started for it so far.
    pub(crate) fn starts(&self) -> usize {
        self.leash.starts.load(Ordering::SeqCst)
    }

    pub(crate) fn heal(&self) {
        self.inject(Fault::None);
    }

    /// Its transport and era, for tables.
    pub(crate) fn kind(&self) -> &'static str {
        match (self.transport, self.era) {
            (Transport::Stdio, Era::Legacy) => "stdio, legacy",
            (Transport::Stdio, Era::Modern) => "stdio, modern",
            (Transport::Http, Era::Legacy) => "HTTP, legacy",
            (Transport::Http, Era::Modern) => "HTTP, modern",
            (Transport::Sse, _) => "HTTP+SSE",
        }
    }
}
