use super::*;

fn of(together: &'static Together, holder: &str) -> Replay {
    Replay::within(together, 0, Holder::Principal(holder.into()))
}

fn replay() -> Replay {
    of(&EVERYBODY, "ann")
}

fn record(replay: &mut Replay, stream: u64, number: u64, size: usize) {
    replay.record(EventId { purpose: Purpose::Call, stream, number }, Bytes::from(vec![b'x'; size]));
}

fn sizes(replay: &Replay, stream: u64, number: u64) -> Option<Vec<usize>> {
    let missed = replay.after(EventId { purpose: Purpose::Call, stream, number })?;
    Some(missed.iter().map(Bytes::len).collect())
}

#[test]
fn an_id_is_read_as_it_was_written_and_nothing_else_is() {
    for purpose in [Purpose::Call, Purpose::Notices] {
        let id = EventId { purpose, stream: 7, number: 12 };
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
    }
    for foreign in ["", "c7", "c7-", "c-12", "7-12", "x7-12", "c7-12-1", "c7 -12", "c99999999999999999999-1"]
    {
        assert_eq!(EventId::parse(foreign), None, "{foreign}");
    }
}

#[test]
fn a_client_gets_the_later_events_of_its_own_stream_only() {
    let mut replay = replay();
    let (one, two) = (replay.open(), replay.open());
    for number in 1..=3 {
        record(&mut replay, one, number, number as usize);
        record(&mut replay, two, number, 100);
    }
    assert_eq!(sizes(&replay, one, 0), Some(vec![1, 2, 3]));
    assert_eq!(sizes(&replay, one, 2), Some(vec![3]));
    assert_eq!(sizes(&replay, one, 3), Some(vec![]), "it goes on");
    assert_eq!(sizes(&replay, one, 4), None, "an event that never was");
    assert_eq!(sizes(&replay, 2, 0), None, "a stream that never was");
}

#[test]
fn a_stream_that_ended_is_kept_for_a_while_and_until_its_last_event_is_known() {
    let (mut replay, now) = (replay(), Instant::now());
    let stream = replay.open();
    record(&mut replay, stream, 1, 1);
    replay.end(stream, now);
    replay.forget(now + PATIENCE - Duration::from_millis(1));
    assert_eq!(sizes(&replay, stream, 0), Some(vec![1]));
    assert_eq!(sizes(&replay, stream, 1), None);
    replay.forget(now + PATIENCE);
    assert_eq!(sizes(&replay, stream, 0), None);
    assert_eq!((replay.spent, replay.streams.len()), (0, 0));
}

#[test]
fn a_talkative_stream_makes_room_before_the_answer_of_another_is_lost() {
    let mut replay = replay();
    let (answered, talking) = (replay.open(), replay.open());
    record(&mut replay, answered, 1, 10);
    replay.end(answered, Instant::now());
    for number in 1..=1000 {
        record(&mut replay, talking, number, 1);
    }
    assert_eq!(sizes(&replay, answered, 0), Some(vec![10]));
    assert_eq!(sizes(&replay, talking, 0).unwrap().len(), 255);
    assert_eq!(sizes(&replay, talking, 999), Some(vec![1]), "the newest are kept");
}

#[test]
fn of_many_answers_the_oldest_go_first() {
    let mut replay = replay();
    for _ in 0..300 {
        let stream = replay.open();
        record(&mut replay, stream, 1, 1);
        replay.end(stream, Instant::now());
    }
    assert_eq!(sizes(&replay, 43, 0), None);
    assert_eq!(sizes(&replay, 44, 0), Some(vec![1]));
    assert_eq!(replay.streams.len(), 256);
}

#[test]
fn sessions_have_a_bound_together_and_each_makes_room_with_its_own_events() {
    let together: &'static Together = Box::leak(Box::new(Together::up_to(10)));
    let (mut one, mut other) = (of(together, "ann"), of(together, "ann"));
    let (first, second) = (one.open(), other.open());
    record(&mut one, first, 1, 8);
    record(&mut other, second, 1, 8);
    assert_eq!((sizes(&one, first, 0), sizes(&other, second, 0)), (Some(vec![8]), Some(vec![])));
    let now = Instant::now();
    one.end(first, now);
    one.forget(now + PATIENCE);
    record(&mut other, second, 2, 8);
    assert_eq!(sizes(&other, second, 0), Some(vec![8]));
    drop(other);
    assert_eq!(together.total.load(Ordering::Relaxed), 0);
    assert!(together.kept.lock().is_empty());
}

#[test]
fn who_keeps_little_keeps_it_though_another_fills_what_there_is() {
    let together: &'static Together = Box::leak(Box::new(Together::up_to(160)));
    let (mut anns, mut bobs) = (of(together, "ann"), of(together, "bob"));
    let (first, second) = (anns.open(), bobs.open());
    record(&mut anns, first, 1, 160);
    record(&mut bobs, second, 1, 10);
    assert_eq!(sizes(&bobs, second, 0), Some(vec![10]));
    record(&mut bobs, second, 2, 1);
    assert_eq!(sizes(&bobs, second, 0), Some(vec![1]), "that is not little any more");
    record(&mut anns, first, 2, 1);
    assert_eq!(sizes(&anns, first, 0), Some(vec![1]));
}

#[test]
fn an_event_larger_than_all_room_is_not_kept_and_leaves_the_others_alone() {
    let mut replay = replay();
    let (small, large) = (replay.open(), replay.open());
    record(&mut replay, small, 1, 5);
    record(&mut replay, large, 1, BUDGET + 1);
    assert_eq!(sizes(&replay, small, 0), Some(vec![5]));
    replay.end(large, Instant::now());
    assert_eq!(sizes(&replay, large, 0), None);
    assert_eq!(replay.spent, LEAST_COST);
}
