//! Any text as something the gateway gave away to be brought back: a cursor, or a sealed text (a request's
//! state, a session's id). Only what it made itself opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use switchyard::catalog::CatalogSettings;
use switchyard::protocol::ListKind;
use switchyard::router::{Fleet, Router, Sealer};

const KINDS: [ListKind; 4] =
    [ListKind::Tools, ListKind::Prompts, ListKind::Resources, ListKind::ResourceTemplates];

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
    let router = Router::new(CatalogSettings::default(), Fleet::new(Vec::new()), sealer);
    for kind in KINDS {
        let _ = router.list(kind, Some(text));
    }
});
