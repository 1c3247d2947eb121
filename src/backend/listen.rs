//! How does a modern backend learn what is listened for? By one `subscriptions/listen` for all lists that may
//! change, all resources that are watched and all tasks that are followed (MCP 2026-07-28, basic/patterns/subscriptions).
//!
//! The request cannot be changed. So when the resources do, another one is opened, and the one before is
//! closed once the backend has acknowledged it: nothing is missed in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use crate::protocol::{Id, Object, RawJson, RpcError, meta_key, method, tasks};

use super::connection::Connection;
use super::handshake::{Agreement, own_meta};
use super::reopen::Reopen;
use super::watched::{Wanted, Watched};
use super::wire::{Outgoing, Reply, WireEvent};
use super::{Failure, Sent};

/// Changes of what is wanted that come together are told together.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// For the stream to open, and then for the acknowledgement; a backend that sends none is believed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listens for what concerns no request, for as long as the connection lives.
pub(super) async fn keep_listening(connection: Arc<Connection>, watched: Arc<Watched>) {
    let signals = connection.signals().clone();
    let listener =
        Listener { connection, watched, stream: None, heard: Heard::default(), reopen: Reopen::default() };
    tokio::select! {
        () = listener.run() => {}
        _ = signals.lost() => {}
    }
}

struct Listener {
    connection: Arc<Connection>,
    watched: Arc<Watched>,
    /// The open subscription; dropping it ends it.
    stream: Option<Reply>,
    /// The resources and tasks that the stream tells of.
    heard: Heard,
    reopen: Reopen,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Heard {
    uris: BTreeSet<Arc<str>>,
    tasks: BTreeSet<Arc<str>>,
}

/// What became of an attempt to open a stream.
enum Opened {
    Open { reply: Reply, accepted: Option<RawJson> },
    Refused(RawJson),
    Failed(Failure),
}

impl Listener {
    async fn run(mut self) {
        let mut wanted = self.watched.wanted();
        loop {
            let goal = wanted.borrow_and_update().clone();
            if self.reach(&goal).await {
                tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => {
                            sleep(DEBOUNCE).await;
                            continue;
                        }
                        Err(_) => return,
                    },
                    () = ended(&mut self.stream) => {}
                }
            }
            let pause = self.reopen.pause();
            tokio::select! {
                _ = wanted.changed() => sleep(DEBOUNCE).await,
                () = sleep(pause) => {}
            }
        }
    }

    /// Opens a stream for `goal`; `false` if that is to be tried again.
    async fn reach(&mut self, goal: &Wanted) -> bool {
        self.reopen.begin();
        let params = listen_params(self.connection.agreement(), goal);
        let opened = match params {
            Some(params) => self.open(params).await,
            None => {
                self.stream = None;
                self.heard = Heard::default();
                self.settle(goal, None);
                return true;
            }
        };
        match opened {
            Opened::Open { reply, accepted } => {
                self.stream = Some(reply);
                self.heard = accepted_of(goal, accepted.as_ref());
                self.settle(goal, None);
                true
            }
            Opened::Refused(error) => {
                self.settle(goal, Some(&error));
                true
            }
            Opened::Failed(failure) => {
                tracing::debug!(%failure, "no stream to listen on");
                false
            }
        }
    }

    /// Opens a stream beside the one that is open, which is read on.
    async fn open(&mut self, params: RawJson) -> Opened {
        let connection = Arc::clone(&self.connection);
        let mut opening = std::pin::pin!(open(&connection, params));
        loop {
            tokio::select! {
                opened = &mut opening => return opened,
                () = ended(&mut self.stream) => self.heard = Heard::default(),
            }
        }
    }

    /// Everything that the stream does not tell of was refused.
    fn settle(&self, goal: &Wanted, error: Option<&RawJson>) {
        let unheard = || RpcError::invalid_params("the backend does not tell of changes of this resource");
        let error = error.cloned().unwrap_or_else(|| unheard().to_json());
        let refused = goal.uris.difference(&self.heard.uris).map(|uri| (Arc::clone(uri), error.clone()));
        self.watched.settle_with(goal.serial, refused.collect(), self.heard.tasks.clone());
    }
}

async fn open(connection: &Connection, params: RawJson) -> Opened {
    let outgoing = Outgoing::new(connection.draw_id(), method::LISTEN, Some(params));
    let mut reply = match timeout(PATIENCE, connection.start(&outgoing)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(failure)) => return Opened::Failed(failure),
        Err(_) => return Opened::Failed(Failure::timeout(Sent::Maybe, PATIENCE)),
    };
    match timeout(PATIENCE, acknowledgement(&mut reply)).await {
        Ok(Ok(accepted)) => Opened::Open { reply, accepted },
        Ok(Err(refusal)) => refusal,
        Err(_) => Opened::Open { reply, accepted: None },
    }
}

/// Waits for the first message, which says what the backend will tell of.
async fn acknowledgement(reply: &mut Reply) -> Result<Option<RawJson>, Opened> {
    loop {
        match reply.next().await {
            WireEvent::Notification { method, params } if method == method::ACKNOWLEDGED => {
                return Ok(params.and_then(|params| params.get("notifications")));
            }
            WireEvent::Notification { .. } => {}
            WireEvent::Question { id, method, .. } => refuse(reply, &id, &method),
            WireEvent::Answer(Err(error)) => return Err(Opened::Refused(error)),
            WireEvent::Answer(Ok(_)) => {
                return Err(Opened::Failed(Failure::malformed("the subscription ended before it began")));
            }
            WireEvent::Failed(failure) => return Err(Opened::Failed(failure)),
        }
    }
}

/// Reads a stream to its end: what it tells reaches the connection's signals on the way. Cancel-safe;
/// never returns without a stream.
async fn ended(stream: &mut Option<Reply>) {
    let Some(reply) = stream else { return std::future::pending().await };
    loop {
        match reply.next().await {
            WireEvent::Notification { .. } => {}
            WireEvent::Question { id, method, .. } => refuse(reply, &id, &method),
            WireEvent::Answer(_) | WireEvent::Failed(_) => break,
        }
    }
    *stream = None;
}

fn refuse(reply: &Reply, id: &Id, name: &str) {
    reply.respond(id, &Err(RpcError::method_not_found(name).to_json()));
}

/// What the backend agreed to tell of; one that acknowledged nothing is believed.
fn accepted_of(goal: &Wanted, accepted: Option<&RawJson>) -> Heard {
    let Some(accepted) = accepted else {
        return Heard { uris: goal.uris.clone(), tasks: goal.tasks.clone() };
    };
    let named = |member: &str, of: &BTreeSet<Arc<str>>| {
        let named = accepted.get(member).and_then(|names| names.to::<Vec<String>>());
        named.unwrap_or_default().iter().filter_map(|name| of.get(name.as_str()).cloned()).collect()
    };
    Heard { uris: named("resourceSubscriptions", &goal.uris), tasks: named("taskIds", &goal.tasks) }
}

/// Asks for the lists that the backend says may change, and for what is wanted; `None` if that is nothing.
fn listen_params(agreement: &Agreement, goal: &Wanted) -> Option<RawJson> {
    let lists = [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ];
    let mut filter = Map::new();
    for (_, wanted) in lists.into_iter().filter(|(list, _)| agreement.list_may_change(list)) {
        filter.insert(wanted.to_owned(), true.into());
    }
    let names = |of: &BTreeSet<Arc<str>>| of.iter().map(|name| Value::from(&**name)).collect::<Value>();
    if !goal.uris.is_empty() && agreement.can_subscribe() {
        filter.insert("resourceSubscriptions".to_owned(), names(&goal.uris));
    }
    let mut meta = own_meta();
    if !goal.tasks.is_empty() && tasks::are_declared(&agreement.capabilities) {
        filter.insert("taskIds".to_owned(), names(&goal.tasks));
        meta = with_tasks(&meta);
    }
    (!filter.is_empty()).then(|| RawJson::of(&json!({ "notifications": filter, "_meta": meta })))
}

/// Who wants to hear of tasks must declare that it knows them.
fn with_tasks(meta: &RawJson) -> RawJson {
    let mut meta = Object::parse(meta).unwrap_or_default();
    let declared = json!({ "extensions": { tasks::EXTENSION: {} } });
    meta.set(meta_key::CLIENT_CAPABILITIES, RawJson::of(&declared));
    meta.to_json()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::connection::Wire;
    use super::super::ids::Ids;
    use super::super::pipe::{Frame, Pipe};
    use super::super::signals::Signals;
    use super::*;
    use crate::protocol::Revision;
    use tokio::sync::mpsc::Receiver;

    fn wanted(uris: &[&str]) -> Wanted {
        Wanted { serial: 1, uris: uris.iter().map(|uri| Arc::from(*uri)).collect(), ..Wanted::default() }
    }

    fn agreement(capabilities: Value) -> Agreement {
        Agreement { revision: Revision::LATEST, capabilities: RawJson::of(&capabilities), instructions: None }
    }

    #[test]
    fn only_what_the_backend_declared_is_listened_for() {
        let goal = wanted(&["a://2", "a://1"]);
        let asked = |capabilities| {
            listen_params(&agreement(capabilities), &goal)
                .and_then(|params| params.get("notifications"))
                .map(|filter| filter.as_str().to_owned())
        };
        assert_eq!(asked(json!({"tools": {}, "resources": {"listChanged": false}})), None);
        assert_eq!(
            asked(json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}})).as_deref(),
            Some(r#"{"toolsListChanged":true,"resourceSubscriptions":["a://1","a://2"]}"#)
        );
    }

    #[test]
    fn what_the_acknowledgement_leaves_out_is_not_told_of() {
        let goal = wanted(&["a://1", "a://2"]);
        let accepted = RawJson::of(&json!({"resourceSubscriptions": ["a://2", "a://9"]}));
        assert_eq!(accepted_of(&goal, Some(&accepted)).uris, wanted(&["a://2"]).uris);
        assert_eq!(accepted_of(&goal, Some(&RawJson::of(&json!({})))), Heard::default());
        assert_eq!(accepted_of(&goal, None).uris, goal.uris);
    }

    /// The next message to the backend: its method, its own id or the one it cancels, what it asks for.
    async fn next(frames: &mut Receiver<Frame>) -> (String, u64, Value) {
        let frame = frames.recv().await.unwrap();
        assert!(frame.call.is_none_or(|call| call.start()), "a frame that was given up");
        let message: Value = serde_json::from_slice(&frame.text).unwrap();
        let params = &message["params"];
        let id = message["id"].as_u64().or(params["requestId"].as_u64());
        let uris = params["notifications"]["resourceSubscriptions"].clone();
        (message["method"].as_str().unwrap().to_owned(), id.unwrap(), uris)
    }

    fn acknowledge(pipe: &Pipe, id: u64, uris: &Value) {
        let params = json!({
            "_meta": {"io.modelcontextprotocol/subscriptionId": id},
            "notifications": {"resourceSubscriptions": uris},
        });
        let text = json!({"jsonrpc": "2.0", "method": method::ACKNOWLEDGED, "params": params});
        assert!(pipe.receive(&text.to_string().into()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_stream_is_acknowledged_before_the_last_one_is_closed() {
        let (pipe, mut frames) = Pipe::new(Signals::default(), false);
        let agreement = agreement(json!({"resources": {"subscribe": true}}));
        let connection = Connection::new(Wire::Pipe(pipe.clone()), agreement, Ids::default());
        let watched = Arc::new(Watched::default());
        watched.want(&"a://1".into());
        tokio::spawn(keep_listening(Arc::new(connection), Arc::clone(&watched)));

        let (name, first, uris) = next(&mut frames).await;
        assert_eq!((name.as_str(), &uris), (method::LISTEN, &json!(["a://1"])));
        acknowledge(&pipe, first, &uris);
        let serial = watched.want(&"a://2".into());
        let (name, second, uris) = next(&mut frames).await;
        assert_eq!((name.as_str(), &uris), (method::LISTEN, &json!(["a://1", "a://2"])));
        assert!(frames.try_recv().is_err());
        acknowledge(&pipe, second, &json!(["a://1"]));
        let (name, ended, _) = next(&mut frames).await;
        assert_eq!((name.as_str(), ended), (method::CANCELLED, first));
        assert_eq!(watched.settled(), (serial, vec!["a://2".to_owned()]));

        let end = json!({"jsonrpc": "2.0", "method": method::CANCELLED, "params": {"requestId": second}});
        assert!(pipe.receive(&end.to_string().into()));
        let (name, third, _) = next(&mut frames).await;
        assert_eq!(name, method::LISTEN);
        assert_ne!(third, second);
    }
}
