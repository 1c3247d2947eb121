//! What do operators see of a backend, and of its replicas?

use std::sync::atomic::Ordering;

use crate::protocol::{Era, Revision};

use super::replicas::Replicas;
use super::state::Ready;
use super::{Backend, Connections, Snapshot, State, TransportSettings, said};

impl Backend {
    /// For `/status`.
    pub fn snapshot(&self) -> Snapshot {
        let replicas = self.replicas().map(Replicas::snapshots).unwrap_or_default();
        let state = self.state();
        let revision = match &state {
            State::Ready(Ready(connection)) => Some(connection.revision()),
            _ => None,
        };
        let retry_after_ms = match &state {
            State::Down { .. } => {
                state.refusal().retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
            }
            _ => None,
        };
        let stderr: Vec<String> = self.tail.lock().iter().cloned().collect();
        Snapshot {
            name: self.name().to_owned(),
            state: state.label().as_str(),
            transport: self.transport(),
            era: self.known_era().map(Era::as_str),
            revision: revision.map(Revision::as_str),
            breaker: self.circuit().as_str(),
            in_flight: self.in_flight(),
            connections: self.connections(&replicas),
            restarts: self.restarts.load(Ordering::Relaxed)
                + replicas.iter().map(|replica| replica.restarts).sum::<u64>(),
            retry_after_ms,
            held: self.held(),
            last_error: self.last_error.lock().clone(),
            fetched_at: Some(self.fetched_at.load(Ordering::Relaxed))
                .filter(|at| *at > 0)
                .max(replicas.iter().filter_map(|replica| replica.fetched_at).max()),
            said: said::reason(stderr.iter().map(String::as_str)),
            stderr,
            replicas,
            is_ejected: false,
        }
    }

    fn connections(&self, replicas: &[Snapshot]) -> Connections {
        let open = self.pool.open() + self.kept.open();
        let mut all = self.settings().sharing(self.known_era(), open);
        all.open += replicas.iter().map(|replica| replica.connections.open).sum::<usize>();
        all.max *= replicas.len().max(1);
        all
    }

    fn transport(&self) -> &'static str {
        match self.settings().transport {
            TransportSettings::Stdio(_) => "stdio",
            TransportSettings::Http { .. } => "http",
            TransportSettings::Sse { .. } => "sse",
        }
    }
}
