//! Any text as the value of a header: what is written can be read, and what is read can be written.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use switchyard::protocol::{RawJson, Revision, decode_value, encode_value, mirrored_name};

fuzz_target!(|text: &str| {
    let written = encode_value(text);
    assert!(written.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{written}");
    assert_eq!(decode_value(&written).as_deref(), Some(text));
    if let Some(read) = decode_value(text) {
        assert_eq!(decode_value(&encode_value(&read)).as_deref(), Some(&*read));
    }
    let _ = Revision::parse(text);
    if let Ok(params) = RawJson::parse(Bytes::copy_from_slice(text.as_bytes())) {
        for method in ["tools/call", "resources/read", "tasks/get"] {
            let _ = mirrored_name(method, Some(&params));
        }
    }
});
