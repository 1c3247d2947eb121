//! Any bytes as an event stream: the same events however they are cut into pieces, and none over the bound.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use switchyard::protocol::{SseEvent, SseParser, write_event};

const LIMIT: usize = 256;

fuzz_target!(|data: &[u8]| {
    let Some((size, text)) = data.split_first() else { return };
    let size = usize::from(*size).max(1);
    let (whole, is_whole) = events(text, text.len().max(1));
    let (pieces, are_whole) = events(text, size);
    assert_eq!((&whole, is_whole), (&pieces, are_whole));
    for event in whole.iter().filter(|event| !event.data.is_empty()) {
        let mut out = BytesMut::new();
        write_event(&mut out, None, None, &event.data);
        let (again, _) = events(&out, size);
        let lines = |data: &[u8]| {
            data.split(|byte| matches!(byte, b'\r' | b'\n')).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(lines(&again[0].data), lines(&event.data));
    }
});

/// The events, and whether the stream was read to its end.
fn events(text: &[u8], size: usize) -> (Vec<SseEvent>, bool) {
    let (mut parser, mut events) = (SseParser::new(LIMIT), Vec::new());
    for piece in text.chunks(size) {
        parser.push(piece);
        loop {
            match parser.next_event() {
                Ok(Some(event)) => {
                    assert!(event.data.len() <= LIMIT);
                    events.push(event);
                }
                Ok(None) => break,
                Err(_) => return (events, false),
            }
        }
        assert!(parser.buffered() <= 2 * LIMIT + "data: ".len() + 1);
    }
    (events, true)
}
