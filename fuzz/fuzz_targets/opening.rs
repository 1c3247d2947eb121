//! Any text as something the gateway gave away to be brought back: a cursor, or a sealed text (a request's
//! state, a session's id). Only what it made itself opens.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::json;
use switchyard::catalog::CatalogSettings;
use switchyard::protocol::{ListKind, RawJson, Revision};
use switchyard::router::{Caller, Fleet, Principal, RequestId, Router, Sealer};

const KINDS: [ListKind; 4] =
    [ListKind::Tools, ListKind::Prompts, ListKind::Resources, ListKind::ResourceTemplates];
/// What cursors are sealed for: what is under the seal is read with the same care.
const STATE: &[u8] = b"switchyard request state 1";

fuzz_target!(|text: &str| {
    let sealer = Sealer::new(&[SecretString::from("one key"), SecretString::from("another")]).expect("keys");
    assert!(sealer.open_text(b"one purpose", text).is_none(), "{text}");
    let sealed = sealer.seal_text(b"one purpose", text.as_bytes().to_vec()).expect("a sealed text");
    assert_eq!(sealer.open_text(b"one purpose", &sealed).as_deref(), Some(text.as_bytes()));
    assert!(sealer.open_text(b"another", &sealed).is_none());
    // The last character has bits that base64 does not use, so an earlier one is changed.
    let mut bytes = sealed.into_bytes();
    let at = text.len() % (bytes.len() - 1);
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    assert!(sealer.open_text(b"one purpose", &String::from_utf8_lossy(&bytes)).is_none());
    read_on(text, sealer);
});

fn read_on(text: &str, sealer: Sealer) {
    let caller = caller();
    let principal = caller.principal.name();
    let place = |kind: ListKind| {
        let request = kind.method();
        json!({ "principal": principal, "request": request, "expires": u64::MAX, "content": text })
            .to_string()
    };
    let seal = |text: String| sealer.seal_text(STATE, text.into_bytes()).expect("a sealed text");
    let cursors = KINDS.map(|kind| [seal(text.to_owned()), seal(place(kind))]);
    let router = Router::new(CatalogSettings::default(), Fleet::new(Vec::new()), sealer);
    for (kind, cursors) in KINDS.into_iter().zip(cursors) {
        assert!(router.list(kind, &caller, Some(text)).is_err(), "{text}");
        for cursor in cursors {
            let _ = router.list(kind, &caller, Some(&cursor));
        }
    }
}

fn caller() -> Caller {
    Caller {
        principal: Principal::anonymous(),
        request_id: RequestId::new(0),
        revision: Revision::V2026_07_28,
        capabilities: RawJson::parse(Bytes::from_static(b"{}")).expect("an object"),
        client_info: None,
        session: None,
        log_level: None,
        asked_level: None,
        progress_token: None,
        trace: None,
    }
}
