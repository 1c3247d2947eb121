//! Where did a client stop reading a list?
//!
//! A cursor says which list it belongs to (kind and digest) and how many entries were read, so any
//! replica with the same catalog can go on, and a list that changed meanwhile is noticed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::digest::Digest;
use crate::protocol::ListKind;

const LENGTH: usize = 1 + 12 + 4;

/// A cursor that does not continue the list asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCursor {
    /// Not made by this gateway, or for another list.
    #[error("this cursor was not issued for this list; ask again without a cursor")]
    Foreign,
    /// The list is not the one the cursor was issued for any more.
    #[error("the list has changed since this cursor was issued; ask again without a cursor")]
    Outdated,
}

/// The cursor after `offset` entries.
pub(super) fn encode(kind: ListKind, digest: &Digest, offset: u32) -> String {
    let mut bytes = [0; LENGTH];
    bytes[0] = tag(kind);
    bytes[1..13].copy_from_slice(&digest.head::<12>());
    bytes[13..].copy_from_slice(&offset.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many entries `cursor` says were read.
pub(super) fn decode(kind: ListKind, digest: &Digest, cursor: &str) -> Result<u32, BadCursor> {
    let mut bytes = [0; LENGTH];
    let length = URL_SAFE_NO_PAD.decode_slice(cursor, &mut bytes).map_err(|_| BadCursor::Foreign)?;
    if length != LENGTH || bytes[0] != tag(kind) {
        return Err(BadCursor::Foreign);
    }
    if bytes[1..13] != digest.head::<12>() {
        return Err(BadCursor::Outdated);
    }
    Ok(u32::from_be_bytes([bytes[13], bytes[14], bytes[15], bytes[16]]))
}

fn tag(kind: ListKind) -> u8 {
    match kind {
        ListKind::Tools => b't',
        ListKind::Prompts => b'p',
        ListKind::Resources => b'r',
        ListKind::ResourceTemplates => b'x',
        ListKind::Skills => b's',
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_works_for_its_own_list_only() {
        let (here, there) = (Digest::of([b"a".as_slice()]), Digest::of([b"b".as_slice()]));
        let cursor = encode(ListKind::Tools, &here, 1000);
        assert_eq!(decode(ListKind::Tools, &here, &cursor), Ok(1000));
        assert_eq!(decode(ListKind::Prompts, &here, &cursor), Err(BadCursor::Foreign));
        assert_eq!(decode(ListKind::Tools, &there, &cursor), Err(BadCursor::Outdated));
        assert_eq!(decode(ListKind::Tools, &here, ""), Err(BadCursor::Foreign));
    }

    proptest! {
        #[test]
        fn no_text_a_client_invents_is_a_panic(text in ".{0,64}") {
            let digest = Digest::of([b"a".as_slice()]);
            prop_assert!(decode(ListKind::Tools, &digest, &text).is_err());
        }
    }
}
