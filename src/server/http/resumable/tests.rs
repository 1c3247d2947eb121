use std::future::poll_fn;

use super::*;
use crate::server::http::http_session::tests::http_session;

async fn next(events: &mut Events) -> Option<String> {
    poll_fn(|cx| events.poll_next(cx)).await.map(|text| String::from_utf8(text.to_vec()).unwrap())
}

fn open(session: &Arc<HttpSession>) -> (Stream, Events) {
    Stream::open(Arc::clone(session), Purpose::Call)
}

fn resumed(session: &HttpSession, last: &str) -> Events {
    match session.streams.resume(last) {
        Resumed::Events(events) => events,
        Resumed::Over | Resumed::New => panic!("{last} is not known"),
    }
}

#[test]
fn a_stream_that_is_not_known_is_replaced_only_if_a_new_one_says_the_same() {
    let session = http_session(Revision::V2025_11_25);
    assert!(matches!(session.streams.resume("n0-0"), Resumed::New));
    assert!(matches!(session.streams.resume("another server's"), Resumed::New));
    assert!(matches!(session.streams.resume("c0-0"), Resumed::Over));
}

#[tokio::test]
async fn only_a_client_that_knows_what_it_means_is_primed() {
    let (stream, mut events) = open(&http_session(Revision::V2025_11_25));
    assert_eq!(next(&mut events).await.unwrap(), "id: c0-0\nretry: 1000\ndata: \n\n");
    drop(stream);
    assert_eq!(next(&mut events).await, None);
    let (stream, mut events) = open(&http_session(Revision::V2025_06_18));
    stream.writer().message(b"1").await;
    assert_eq!(next(&mut events).await.unwrap(), "id: c0-1\ndata: 1\n\n");
}

#[tokio::test]
async fn a_client_that_comes_back_takes_the_place_of_its_old_connection() {
    let session = http_session(Revision::V2025_06_18);
    let (stream, mut old) = open(&session);
    let writer = stream.writer();
    writer.message(b"1").await;
    let mut new = resumed(&session, "c0-1");
    writer.message(b"2").await;
    assert_eq!(next(&mut old).await.unwrap(), "id: c0-1\ndata: 1\n\n");
    assert_eq!(next(&mut old).await, None);
    assert_eq!(next(&mut new).await.unwrap(), ":\n\n");
    assert_eq!(next(&mut new).await.unwrap(), "id: c0-2\ndata: 2\n\n");
}

#[tokio::test]
async fn what_is_written_for_nobody_is_read_later() {
    let session = http_session(Revision::V2025_06_18);
    let (stream, events) = open(&session);
    drop(events);
    let writer = stream.writer();
    for n in 1..=100 {
        writer.message(n.to_string().as_bytes()).await;
    }
    drop(writer);
    let mut events = resumed(&session, "c0-98");
    assert_eq!(next(&mut events).await.unwrap(), "id: c0-99\ndata: 99\n\n");
    assert_eq!(next(&mut events).await.unwrap(), "id: c0-100\ndata: 100\n\n");
    assert_eq!(next(&mut events).await, None);
    assert!(matches!(session.streams.resume("c0-100"), Resumed::Over));
}

#[tokio::test]
async fn a_connection_that_is_not_read_does_not_hold_up_the_one_in_its_place() {
    let session = http_session(Revision::V2025_06_18);
    let (stream, stalled) = open(&session);
    let writer = stream.writer();
    let writing = tokio::spawn(async move {
        for _ in 0..100 {
            writer.message(b"1").await;
        }
    });
    tokio::task::yield_now().await;
    assert!(!writing.is_finished(), "a slow reader slows the writer down");
    let mut events = resumed(&session, "c0-0");
    let mut count = 0;
    while let Some(piece) = next(&mut events).await {
        count += piece.matches("data:").count();
    }
    assert_eq!(count, 100);
    drop(stalled);
}

fn notices() -> Notices {
    Notices::detached()
}

fn open_notices(session: &Arc<HttpSession>) -> (Stream, Events) {
    let (stream, events, _) = Stream::open_notices(Arc::clone(session), notices);
    (stream, events)
}

#[tokio::test]
async fn a_notice_stream_whose_client_is_gone_is_paused_at_once_and_continues_where_it_was() {
    let session = http_session(Revision::V2025_06_18);
    let (stream, events) = open_notices(&session);
    drop(events);
    stream.unread().await;
    let writer = stream.writer();
    writer.message(b"1").await;
    let stream = writer.into_stream().unwrap();
    assert!(stream.pause(notices()).is_none() && session.streams.is_paused());
    let (stream, mut events, _) = Stream::reopen(&session, "n0-0").unwrap();
    assert!(!session.streams.is_paused());
    let writer = stream.writer();
    writer.message(b"2").await;
    drop(writer);
    assert_eq!(next(&mut events).await.unwrap(), "id: n0-1\ndata: 1\n\n");
    assert_eq!(next(&mut events).await.unwrap(), "id: n0-2\ndata: 2\n\n");
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn a_stream_that_another_connection_reads_is_not_paused() {
    let session = http_session(Revision::V2025_06_18);
    let (stream, events) = open_notices(&session);
    drop(events);
    let _events = resumed(&session, "n0-0");
    assert!(stream.pause(notices()).is_some() && !session.streams.is_paused());
}

#[tokio::test(start_paused = true)]
async fn of_many_streams_opened_and_dropped_one_is_kept_for_a_while() {
    let session = http_session(Revision::V2025_06_18);
    for _ in 0..1_000 {
        let (stream, events) = open_notices(&session);
        drop(events);
        assert!(stream.pause(notices()).is_none());
    }
    let counts = |state: &State| (state.readers.len(), state.replay.stream_count());
    assert_eq!(counts(&session.streams.state.lock()), (0, 1));
    tokio::time::advance(PATIENCE).await;
    session.streams.sweep();
    assert_eq!(counts(&session.streams.state.lock()), (0, 0));
    assert!(Stream::reopen(&session, "n999-0").is_none());
}
