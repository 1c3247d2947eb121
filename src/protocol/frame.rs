//! Message texts the gateway writes around raw parts: in one piece for a line or an event, in pieces for a body.

use bytes::{BufMut, Bytes, BytesMut};

use super::json::put_text;
use super::{Id, Pieces, RawJson};

/// A request.
pub fn request(id: &Id, method: &str, params: Option<&RawJson>) -> Bytes {
    request_pieces(id, method, params).join()
}

/// A request in pieces.
pub fn request_pieces(id: &Id, method: &str, params: Option<&RawJson>) -> Pieces {
    compose(Some(id), method, params)
}

/// A notification.
pub fn notification(method: &str, params: Option<&RawJson>) -> Bytes {
    compose(None, method, params).join()
}

/// A successful answer.
pub fn result(id: &Id, result: impl Into<Pieces>) -> Bytes {
    result_pieces(id, result).join()
}

/// A successful answer in pieces.
pub fn result_pieces(id: &Id, result: impl Into<Pieces>) -> Pieces {
    answer(Some(id), b",\"result\":", result.into())
}

/// A failed answer; without an id where it could not be read.
pub fn error(id: Option<&Id>, error: &RawJson) -> Bytes {
    answer(id, b",\"error\":", error.into()).join()
}

/// Whichever answer `outcome` is.
pub fn outcome(id: &Id, outcome: &Result<RawJson, RawJson>) -> Bytes {
    match outcome {
        Ok(value) => result(id, value),
        Err(value) => error(Some(id), value),
    }
}

const OPENING: &[u8] = b"{\"jsonrpc\":\"2.0\"";

fn compose(id: Option<&Id>, method: &str, params: Option<&RawJson>) -> Pieces {
    let mut head = opened(id, method.len() + 32);
    head.put_slice(b",\"method\":");
    put_text(&mut head, method);
    match params {
        Some(params) => {
            head.put_slice(b",\"params\":");
            Pieces::around(head.freeze(), params, Bytes::from_static(b"}"))
        }
        None => {
            head.put_u8(b'}');
            head.freeze().into()
        }
    }
}

fn answer(id: Option<&Id>, member: &[u8], value: Pieces) -> Pieces {
    let mut head = opened(id, member.len());
    head.put_slice(member);
    value.within(&head, b"}")
}

fn opened(id: Option<&Id>, more: usize) -> BytesMut {
    let size = OPENING.len() + 6 + id.map_or(0, |id| id.raw().len()) + more;
    let mut text = BytesMut::with_capacity(size);
    text.put_slice(OPENING);
    if let Some(id) = id {
        text.put_slice(b",\"id\":");
        text.put_slice(id.raw().as_bytes());
    }
    text
}
