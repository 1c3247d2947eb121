//! Any bytes as a message: refused with a code, or read so that it can be written again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use switchyard::protocol::{
    MAX_DEPTH, Message, RawJson, RequestMeta, frame, parse, parse_batch, salvage_id, scan,
};

fuzz_target!(|data: &[u8]| {
    let text = Bytes::copy_from_slice(data);
    let _ = salvage_id(&text);
    if let Some(Ok(batch)) = parse_batch(&text) {
        assert!(!batch.is_empty() && scan(&text));
    }
    let Ok(message) = parse(&text) else { return };
    // Relayed text may hold what this reader refuses: half of a surrogate pair, for example.
    if let Ok(value) = serde_json::from_slice(&text) {
        assert!(depth(&value) <= MAX_DEPTH);
    }
    let again = match &message {
        Message::Request { id, method, params } => {
            let _ = RequestMeta::of(params.as_ref());
            params.as_ref().inspect(|params| assert_same_members(params));
            frame::request(id, method, params.as_ref())
        }
        Message::Notification { method, params } => frame::notification(method, params.as_ref()),
        Message::Response(response) => match (&response.id, &response.outcome) {
            (Some(id), outcome) => frame::outcome(id, outcome),
            (None, Err(error)) => frame::error(None, error),
            (None, Ok(_)) => return,
        },
    };
    let read = parse(&again).expect("what is written can be read");
    assert_eq!(format!("{read:?}"), format!("{message:?}"));
});

/// What was noted of the members on the way is what a walk finds.
fn assert_same_members(noted: &RawJson) {
    let walked = RawJson::parse(Bytes::copy_from_slice(noted.as_bytes()));
    // See above.
    let Ok(walked) = walked else { return };
    assert!(noted.members().eq(walked.members()));
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
