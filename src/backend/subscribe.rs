//! How does a legacy backend learn which resources are watched? By one `resources/subscribe` or
//! `resources/unsubscribe` each (MCP 2025-11-25, server/resources, subscriptions).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::protocol::{Object, RawJson, method};

use super::connection::Connection;
use super::watched::{Wanted, Watched};

/// Requests under way at a time.
const AT_ONCE: usize = 16;
/// For the backend to answer one of them.
const LIMIT: Duration = Duration::from_secs(10);
/// Wait before what got no answer is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// Keeps the backend's subscriptions equal to what is wanted, for as long as the connection lives.
/// Ends at once if the backend has no resources; one that takes no subscriptions says so itself.
pub(super) async fn keep_subscribed(connection: Arc<Connection>, watched: Arc<Watched>) {
    if connection.agreement().offers("resources") {
        Keeper::new(connection, true).keep(&watched).await;
    }
}

/// Has a process beside the shared one tell of what is watched: nobody else knows what a call changes in it.
/// Comes back when the process knows what is wanted now.
pub(super) async fn subscribe_beside(connection: Arc<Connection>, watched: Arc<Watched>) {
    if !connection.agreement().offers("resources") {
        return;
    }
    connection.signals().report_to(Arc::clone(&watched));
    let mut keeper = Keeper::new(connection, false);
    let goal = watched.wanted().borrow().clone();
    keeper.reach(&goal).await;
    tokio::spawn(async move { keeper.keep(&watched).await });
}

/// Has a legacy session beside a modern connection tell of what that one will not tell of.
pub(super) async fn keep_side_subscribed(connection: Arc<Connection>, watched: Arc<Watched>) {
    let signals = connection.signals().clone();
    let mut keeper = Keeper::new(connection, false);
    let (mut wanted, mut settled) = (watched.wanted(), watched.settlements());
    loop {
        wanted.borrow_and_update();
        settled.borrow_and_update();
        let goal = watched.untold();
        tokio::select! {
            () = keeper.reach(&goal) => {}
            _ = signals.lost() => return,
        }
        watched.settle_side(goal.serial, keeper.refused());
        let is_behind = keeper.known.len() < goal.uris.len();
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            changed = settled.changed() => if changed.is_err() { return },
            () = signals.renewed() => keeper.known.clear(),
            () = sleep(AGAIN), if is_behind => {}
            _ = signals.lost() => return,
        }
    }
}

struct Keeper {
    connection: Arc<Connection>,
    /// What the backend said to each subscription.
    known: BTreeMap<Arc<str>, Result<(), RawJson>>,
    /// Whether what this connection's server says is the backend's word.
    speaks_for_all: bool,
}

impl Keeper {
    fn new(connection: Arc<Connection>, speaks_for_all: bool) -> Self {
        Self { connection, known: BTreeMap::new(), speaks_for_all }
    }

    async fn keep(&mut self, watched: &Watched) {
        let signals = self.connection.signals().clone();
        let mut wanted = watched.wanted();
        loop {
            let goal = wanted.borrow_and_update().clone();
            tokio::select! {
                () = self.reach(&goal) => {}
                _ = signals.lost() => return,
            }
            if self.speaks_for_all {
                watched.settle(goal.serial, self.refused());
            }
            let is_behind = self.known.len() < goal.uris.len();
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                // The backend opened a session that knows of nothing.
                () = signals.renewed() => self.known.clear(),
                () = sleep(AGAIN), if is_behind => {}
                _ = signals.lost() => return,
            }
        }
    }

    async fn reach(&mut self, goal: &Wanted) {
        let gone: Vec<_> = self.known.extract_if(.., |uri, _| !goal.uris.contains(uri)).collect();
        let gone = gone.into_iter().filter(|(_, said)| said.is_ok()).map(|(uri, _)| uri);
        self.ask_each(method::UNSUBSCRIBE, gone.collect()).await;
        let new = goal.uris.iter().filter(|uri| !self.known.contains_key(*uri)).cloned();
        let answers = self.ask_each(method::SUBSCRIBE, new.collect()).await;
        self.known.extend(answers);
    }

    /// The answers there are; who got none is left out.
    async fn ask_each(
        &self,
        name: &'static str,
        uris: Vec<Arc<str>>,
    ) -> BTreeMap<Arc<str>, Result<(), RawJson>> {
        let (mut answers, mut running) = (BTreeMap::new(), JoinSet::new());
        for uri in uris {
            if running.len() >= AT_ONCE {
                answers.extend(running.join_next().await.and_then(Result::ok).flatten());
            }
            running.spawn(ask(Arc::clone(&self.connection), name, uri));
        }
        answers.extend(running.join_all().await.into_iter().flatten());
        answers
    }

    fn refused(&self) -> BTreeMap<Arc<str>, RawJson> {
        let refused = self.known.iter().filter_map(|(uri, said)| Some((uri.clone(), said.clone().err()?)));
        refused.collect()
    }
}

async fn ask(
    connection: Arc<Connection>,
    name: &'static str,
    uri: Arc<str>,
) -> Option<(Arc<str>, Result<(), RawJson>)> {
    let mut params = Object::new();
    params.set("uri", RawJson::of(&*uri));
    match connection.ask(name, params, LIMIT).await {
        Ok(outcome) => Some((uri, outcome.map(|_empty| ()))),
        Err(failure) => {
            tracing::debug!(%failure, "{name} got no answer");
            None
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::connection::Wire;
    use super::super::handshake::Agreement;
    use super::super::ids::Ids;
    use super::super::pipe::{Frame, Pipe};
    use super::super::signals::Signals;
    use super::*;
    use crate::protocol::Revision;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::Receiver;

    /// Reads a request, answers it, and says what it was.
    async fn serve(pipe: &Pipe, frames: &mut Receiver<Frame>, outcome: (&str, Value)) -> (String, String) {
        let request: Value = serde_json::from_slice(&frames.recv().await.unwrap().text).unwrap();
        let mut answer = json!({"jsonrpc": "2.0", "id": request["id"]});
        answer[outcome.0] = outcome.1;
        assert!(pipe.receive(&answer.to_string().into()));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&request["method"]), text(&request["params"]["uri"]))
    }

    /// A pipe, what is written to it, and the connection over it.
    fn connected() -> (Pipe, Receiver<Frame>, Arc<Connection>) {
        let (pipe, frames) = Pipe::new(Signals::default(), false);
        let agreement = Agreement {
            revision: Revision::LATEST_LEGACY,
            capabilities: RawJson::of(&json!({"resources": {"subscribe": true}})),
            instructions: None,
        };
        let connection = Connection::new(Wire::Pipe(pipe.clone()), agreement, Ids::default());
        (pipe, frames, Arc::new(connection))
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_beside_the_shared_one_knows_what_is_watched_before_it_is_called() {
        let (pipe, mut frames, connection) = connected();
        let watched = Arc::new(Watched::default());
        watched.want(&"a://1".into());
        let beside = tokio::spawn(subscribe_beside(connection, Arc::clone(&watched)));
        let refusal = ("error", json!({"code": -32002, "message": "no"}));
        assert_eq!(serve(&pipe, &mut frames, refusal).await.1, "a://1");
        beside.await.unwrap();
        // Its refusal is not the backend's.
        assert_eq!(watched.settled(), (0, Vec::new()));
        watched.want(&"a://2".into());
        assert_eq!(serve(&pipe, &mut frames, ("result", json!({}))).await.1, "a://2");
    }

    #[tokio::test(start_paused = true)]
    async fn each_difference_is_told_once_and_all_of_it_to_a_new_session() {
        let (pipe, mut frames, connection) = connected();
        let watched = Arc::new(Watched::default());
        watched.want(&"a://1".into());
        tokio::spawn(keep_subscribed(connection, Arc::clone(&watched)));
        let asked = |name: &str, uri: &str| (name.to_owned(), uri.to_owned());

        let ok = || ("result", json!({}));
        assert_eq!(serve(&pipe, &mut frames, ok()).await, asked(method::SUBSCRIBE, "a://1"));
        let serial = watched.want(&"a://2".into());
        let refusal = ("error", json!({"code": -32002, "message": "no"}));
        assert_eq!(serve(&pipe, &mut frames, refusal).await, asked(method::SUBSCRIBE, "a://2"));
        while watched.settled().0 < serial {
            tokio::task::yield_now().await;
        }
        assert_eq!(watched.settled(), (serial, vec!["a://2".to_owned()]));

        watched.unwant("a://2");
        watched.unwant("a://1");
        watched.want(&"a://3".into());
        assert_eq!(serve(&pipe, &mut frames, ok()).await, asked(method::UNSUBSCRIBE, "a://1"));
        assert_eq!(serve(&pipe, &mut frames, ok()).await, asked(method::SUBSCRIBE, "a://3"));
        pipe.signals().renew();
        assert_eq!(serve(&pipe, &mut frames, ok()).await, asked(method::SUBSCRIBE, "a://3"));
    }
}
