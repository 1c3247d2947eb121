use super::*;
use crate::router::Principal;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn open(table: &Arc<Connections>, principal: &str, activity: Activity) -> OpenConnection {
    let connection = enter(table, HERE);
    assert!(connection.0.assign(&Principal::named(principal)), "{principal}");
    connection.0.begin(activity);
    connection
}

fn enter(table: &Arc<Connections>, address: IpAddr) -> OpenConnection {
    let Entry::Entered(connection) = table.try_enter(address) else { panic!("there is no room") };
    OpenConnection(connection)
}

fn is_evicted(connection: &OpenConnection) -> bool {
    connection.0.evicted().is_cancelled()
}

#[test]
fn whoever_has_most_connections_gives_way_and_what_costs_least_of_them_goes_first() {
    let table = Connections::up_to(4);
    let calling = open(&table, "ann", Activity::Calling);
    let listening = open(&table, "ann", Activity::Listening);
    let idle = open(&table, "ann", Activity::Idle);
    let bobs = open(&table, "bob", Activity::Idle);
    let _newcomer = open(&table, "eve", Activity::Idle);
    assert!(is_evicted(&idle) && !is_evicted(&bobs) && !is_evicted(&listening));
    let _newcomer = open(&table, "dan", Activity::Idle);
    assert!(is_evicted(&listening) && !is_evicted(&calling) && !is_evicted(&bobs));
    drop((idle, listening));
    assert_eq!(table.usage(), (4, 4));
}

#[test]
fn calls_are_cut_only_for_holders_of_little_and_only_where_there_is_no_other_way() {
    let table = Connections::up_to(16);
    let anns: Vec<_> = (0..16).map(|_| open(&table, "ann", Activity::Calling)).collect();
    assert!(table.is_full());
    let hers = enter(&table, HERE);
    assert!(!hers.0.assign(&Principal::named("ann")), "she has all others");
    drop(hers);
    let bobs = open(&table, "bob", Activity::Calling);
    assert!(!anns.iter().any(is_evicted), "there was room beyond the bound");
    let _eves = open(&table, "eve", Activity::Calling);
    assert_eq!(anns.iter().filter(|one| is_evicted(one)).count(), 1);
    assert!(!is_evicted(&bobs));
}

#[test]
fn an_answer_that_the_client_has_not_taken_counts_as_a_call() {
    let table = Connections::up_to(2);
    let (writing, idle) = (open(&table, "ann", Activity::Idle), open(&table, "ann", Activity::Idle));
    writing.0.writes(true);
    let _newcomer = open(&table, "bob", Activity::Idle);
    assert!(is_evicted(&idle) && !is_evicted(&writing));
}

#[test]
fn who_does_not_authenticate_itself_is_known_by_its_address() {
    let table = Connections::up_to(3);
    let enter = |address: &str| enter(&table, address.parse().unwrap());
    let (first, second, other) = (enter("192.0.2.1"), enter("192.0.2.1"), enter("192.0.2.2"));
    assert!(first.0.assign(&Principal::anonymous()));
    let _newcomer = enter("192.0.2.3");
    assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&other));
}

#[tokio::test(start_paused = true)]
async fn the_largest_holder_waits_for_the_end_of_one_of_its_own_and_not_for_ever() {
    let table = Connections::up_to(32);
    let mut others: Vec<_> = (0..32).map(|_| open(&table, "ann", Activity::Calling)).collect();
    let (ann, third) = (Principal::named("ann"), enter(&table, HERE));
    third.0.begin(Activity::Receiving);
    assert!(!third.0.authenticated(&ann).await);
    let (served, ()) = tokio::join!(third.0.authenticated(&ann), async { drop(others.pop()) });
    assert!(served && third.0.is_of(&ann));
}

#[test]
fn the_largest_holder_takes_nothing_from_smaller_ones_whatever_they_do() {
    let table = Connections::up_to(32);
    let here: Vec<_> = (0..8).map(|_| open(&table, "ann", Activity::Idle)).collect();
    let there: IpAddr = "192.0.2.1".parse().unwrap();
    let flood: Vec<_> = (0..200).map(|_| enter(&table, there)).collect();
    assert!(!here.iter().any(is_evicted));
    assert_eq!(flood.iter().filter(|one| !is_evicted(one)).count(), 32 + 2 - 8);
    flood.iter().for_each(|one| one.0.begin(Activity::Calling));
    assert!(matches!(table.try_enter(there), Entry::Refused), "it has most, and all of them have calls");
    let _bobs = open(&table, "bob", Activity::Calling);
}

#[tokio::test]
async fn where_none_can_go_the_next_one_waits_for_the_end_of_another() {
    let table = Connections::up_to(1);
    let (one, two) = (open(&table, "ann", Activity::Calling), open(&table, "bob", Activity::Calling));
    let waiting = tokio::spawn({
        let table = Arc::clone(&table);
        async move { table.enter(HERE).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(one);
    assert!(waiting.await.unwrap().is_some() && !is_evicted(&two));
}
