use super::super::connection::Wire;
use super::super::handshake::Agreement;
use super::super::ids::Ids;
use super::super::pipe::Pipe;
use super::super::signals::Signals;
use super::*;
use crate::protocol::{RawJson, Revision};

const IDLE: Duration = Duration::from_secs(60);

fn connection() -> Established {
    let (pipe, _frames) = Pipe::new(Signals::default(), false);
    let agreement = Agreement {
        revision: Revision::LATEST_LEGACY,
        capabilities: RawJson::empty_object(),
        instructions: None,
    };
    Established {
        connection: Arc::new(Connection::new(Wire::Pipe(pipe), agreement, Ids::default())),
        child: None,
    }
}

async fn enter(kept: &Arc<Kept>, session: u64) -> Use {
    let key = Key { holder: Holder::Session(session), capabilities: ClientCapabilities::default() };
    kept.enter(key, &"ann".into(), Duration::ZERO).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_principal_with_most_connections_makes_room_though_anothers_is_idle_longer() {
    let kept = Kept::new(3, IDLE);
    let mut connections = Vec::new();
    for (session, owner) in [(1, "bob"), (2, "ann"), (3, "ann"), (4, "eve")] {
        tokio::time::advance(Duration::from_secs(1)).await;
        let key = Key { holder: Holder::Session(session), capabilities: ClientCapabilities::default() };
        let used = kept.enter(key, &owner.into(), Duration::ZERO).await.unwrap();
        connections.push(open(&used).await);
    }
    kept.places.closed().await;
    let lost: Vec<bool> = connections.iter().map(|connection| connection.signals().is_lost()).collect();
    assert_eq!(lost, [false, true, false, false]);
}

async fn open(used: &Use) -> Arc<Connection> {
    used.connection(Duration::ZERO, async { Ok(Some(connection())) }).await.unwrap().unwrap()
}

#[tokio::test]
async fn many_calls_open_one_connection_and_a_lost_one_is_replaced() {
    let kept = Kept::new(9, IDLE);
    let (one, two) = (enter(&kept, 1).await, enter(&kept, 1).await);
    let first = open(&one).await;
    assert!(Arc::ptr_eq(&first, &open(&two).await));
    first.signals().lose("gone");
    assert!(!Arc::ptr_eq(&first, &open(&two).await));
    assert_eq!(kept.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_used_for_long_enough_closes_and_what_is_used_does_not() {
    let kept = Kept::new(9, IDLE);
    let (one, two) = (enter(&kept, 1).await, enter(&kept, 2).await);
    let (unused, used) = (open(&one).await, open(&two).await);
    drop(one);
    tokio::time::advance(IDLE).await;
    kept.sweep();
    assert_eq!(kept.open(), 1);
    kept.places.closed().await;
    assert!(unused.signals().is_lost() && !used.signals().is_lost());
}

#[tokio::test]
async fn the_end_of_a_session_cuts_no_call_off() {
    let kept = Kept::new(9, IDLE);
    let used = enter(&kept, 1).await;
    let connection = open(&used).await;
    kept.end(&Holder::Session(1));
    assert!(!connection.signals().is_lost());
    drop(used);
    kept.close(Duration::ZERO).await;
    assert!(connection.signals().is_lost() && kept.open() == 0);
}

#[tokio::test]
async fn what_a_client_that_was_taken_out_opened_is_met_by_nobody() {
    let kept = Kept::new(9, IDLE);
    let enter = async || {
        let holder = Holder::Principal("ann".into());
        let key = Key { holder, capabilities: ClientCapabilities::default() };
        kept.enter(key, &"ann".into(), Duration::ZERO).await.unwrap()
    };
    let (idle, running) = (enter().await, enter().await);
    let connection = open(&idle).await;
    drop(idle);
    kept.dismiss(&(Arc::new(|name: &str| name != "ann") as KnowsPrincipal));
    assert!(!connection.signals().is_lost(), "a call runs on it");
    let late = enter().await;
    let opened_late = open(&late).await;
    drop((running, late));
    kept.dismiss(&(Arc::new(|_: &str| true) as KnowsPrincipal));
    let again = open(&enter().await).await;
    kept.places.closed().await;
    assert!(connection.signals().is_lost() && opened_late.signals().is_lost());
    assert!(!again.signals().is_lost());
}

#[tokio::test]
async fn calls_take_turns_where_the_server_may_ask() {
    let kept = Kept::new(9, IDLE);
    let declared = RawJson::of(&serde_json::json!({"elicitation": {}}));
    let capabilities = ClientCapabilities::read(&declared, Revision::LATEST_LEGACY);
    let key = Key { holder: Holder::Session(1), capabilities };
    let first = kept.enter(key.clone(), &"ann".into(), Duration::ZERO).await.unwrap();
    assert_eq!(
        kept.enter(key.clone(), &"ann".into(), Duration::ZERO).await.unwrap_err().kind,
        FailureKind::Busy
    );
    drop(first);
    assert!(kept.enter(key, &"ann".into(), Duration::ZERO).await.is_ok());
}
