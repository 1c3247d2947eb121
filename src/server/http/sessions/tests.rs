use super::*;
use crate::protocol::{RawJson, Revision};

fn session(principal: &str) -> Session {
    let principal = Principal::named(principal);
    Session::new(principal, Revision::LATEST_LEGACY, RawJson::empty_object(), Calls::new())
}

fn claim(holder: &str, limit: usize) -> SessionClaim {
    SessionClaim { holder: Holder::Principal(holder.into()), limit }
}

fn sealer() -> Sealer {
    Sealer::new(&["key".into()]).unwrap()
}

#[test]
fn a_session_is_unknown_to_everybody_but_its_principal() {
    let sessions = Sessions::default();
    let id = sessions.open(session("ann"), claim("ann", 10), &sealer()).unwrap();
    assert!(sessions.get(&id, &Principal::named("ann")).is_ok());
    assert!(matches!(sessions.get(&id, &Principal::named("bob")), Err(Error::UnknownSession)));
    assert!(sessions.end(&id, &Principal::named("bob")).is_err());
    assert!(sessions.end(&id, &Principal::named("ann")).is_ok());
    assert!(sessions.get(&id, &Principal::named("ann")).is_err());
}

#[test]
fn a_newcomer_gets_the_session_that_the_largest_holder_used_longest_ago() {
    let sessions = Sessions::default();
    let open = |who: &str| sessions.open(session(who), claim(who, 3), &sealer());
    let get = |id: &str, who: &str| sessions.get(id, &Principal::named(who)).is_ok();
    let (first, second, third) = (open("ann").unwrap(), open("ann").unwrap(), open("ann").unwrap());
    assert!(get(&first, "ann"), "it is used now");
    let bobs = open("bob").unwrap();
    assert!(get(&first, "ann") && !get(&second, "ann") && get(&third, "ann"));
    assert!(open("ann").is_err() && open("bob").is_err(), "neither has much more than the other");
    assert!(open("eve").is_ok() && get(&bobs, "bob"));
    assert_eq!(sessions.len(), 3);
}

#[test]
fn a_session_that_ends_while_one_is_looked_for_keeps_no_turn() {
    let sessions = Sessions::default();
    let open = |who: &str| sessions.open(session(who), claim(who, 3), &sealer());
    let (first, second, _) = (open("ann").unwrap(), open("ann").unwrap(), open("ann").unwrap());
    let ann = Holder::Principal("ann".into());
    // Out of the table, and not out of the shares yet.
    let (_, ending) = sessions.open.remove(&first).unwrap();
    assert!(sessions.evict(&ann), "the one that is unused for longest of the others");
    assert!(sessions.get(&second, &Principal::named("ann")).is_err());
    sessions.ended(&first, &ending);
    assert_eq!(sessions.shares.lock().next_turns(&ann, SAMPLE).len(), sessions.len());
}

#[test]
fn the_limit_on_sessions_holds() {
    let sessions = Sessions::default();
    sessions.open(session("ann"), claim("ann", 1), &sealer()).unwrap();
    assert!(matches!(sessions.open(session("ann"), claim("ann", 1), &sealer()), Err(Error::TooManySessions)));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_room_the_session_unused_for_longest_makes_some() {
    let (sessions, ann) = (Sessions::default(), Principal::named("ann"));
    let open = || sessions.open(session("ann"), claim("ann", 2), &sealer());
    let (unused, used) = (open().unwrap(), open().unwrap());
    assert!(open().is_err(), "both may just be in use");
    tokio::time::advance(SPARE).await;
    assert!(sessions.get(&used, &ann).is_ok());
    let new = open().unwrap();
    assert!(sessions.get(&unused, &ann).is_err());
    assert!(sessions.get(&used, &ann).is_ok() && sessions.get(&new, &ann).is_ok());
    tokio::time::advance(SEARCH).await;
    assert!(open().is_err());
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_end_and_those_with_a_stream_do_not() {
    const IDLE: Duration = Duration::from_secs(60);
    let (sessions, ann) = (Sessions::default(), Principal::named("ann"));
    let idle = sessions.open(session("ann"), claim("ann", 10), &sealer()).unwrap();
    let streaming = sessions.open(session("ann"), claim("ann", 10), &sealer()).unwrap();
    let stream = sessions.get(&streaming, &ann).unwrap().listen(0);
    tokio::time::advance(IDLE).await;
    sessions.sweep(IDLE);
    assert!(sessions.get(&idle, &ann).is_err());
    assert!(sessions.get(&streaming, &ann).is_ok());
    drop(stream);
    tokio::time::advance(IDLE).await;
    sessions.sweep(IDLE);
    assert_eq!(sessions.len(), 0);
}

#[test]
fn the_next_process_takes_a_session_over_for_its_principal_until_it_ends() {
    let same = |session: Session| session;
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let sessions = Sessions::default();
        sessions.keep_in(directory.path().join("sessions.json"));
        sessions
    };
    let (ann, bob, before) = (Principal::named("ann"), Principal::named("bob"), start());
    let id = before.open(session("ann"), claim("ann", 10), &sealer()).unwrap();
    let ended = before.open(session("ann"), claim("ann", 10), &sealer()).unwrap();
    before.get(&id, &ann).unwrap().session.set_level(LogLevel::parse("debug").unwrap());
    before.end(&ended, &ann).unwrap();
    assert!(
        before.take_over(&ended, &ann, claim("ann", 10), &sealer(), same).is_err(),
        "by the process that ended it"
    );
    before.write();

    let after = start();
    assert!(after.take_over(&ended, &ann, claim("ann", 10), &sealer(), same).is_err());
    assert!(after.take_over(&id, &bob, claim("bob", 10), &sealer(), same).is_err());
    assert!(after.take_over(&id, &ann, claim("ann", 10), &Sealer::new(&[]).unwrap(), same).is_err());
    assert!(matches!(
        after.take_over(&id, &ann, claim("ann", 0), &sealer(), same),
        Err(Error::TooManySessions)
    ));
    let (taken, _) = after.take_over(&id, &ann, claim("ann", 10), &sealer(), same).unwrap();
    assert_eq!(taken.session.level_set(), LogLevel::parse("debug"));
    after.end(&id, &ann).unwrap();
    after.write();
    assert!(start().take_over(&id, &ann, claim("ann", 10), &sealer(), same).is_err());
}

#[test]
fn whichever_of_two_requests_takes_a_session_over_it_has_what_its_client_set() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let sessions = Sessions::default();
        sessions.keep_in(directory.path().join("sessions.json"));
        sessions
    };
    let (ann, before) = (Principal::named("ann"), start());
    let id = before.open(session("ann"), claim("ann", 10), &sealer()).unwrap();
    before.get(&id, &ann).unwrap().session.set_level(LogLevel::parse("debug").unwrap());
    before.write();
    let after = start();
    let take = |begun: &dyn Fn(Session) -> Session| {
        after.take_over(&id, &ann, claim("ann", 10), &sealer(), begun).unwrap().0
    };
    let taken = take(&|session| {
        take(&|session| session);
        session
    });
    assert_eq!(taken.session.level_set(), LogLevel::parse("debug"));
}
