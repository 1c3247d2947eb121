//! Reads what servers send as the clients of the official SDKs read it.
//!
//! A message that [`parse`] takes is read by it alone. What it refuses is read once more by the rules of those clients:
//!
//! | what a server sends | what it means |
//! |---|---|
//! | a byte order mark, bytes that are no UTF-8 | nothing; U+FFFD |
//! | `NaN`, `Infinity`, `-Infinity` | `null` |
//! | a member that stands twice | the last one |
//! | `method`, `params`, `error` or `id` that is `null` | as if it were absent |
//! | `params: []` | no parameters |
//! | `result` and `error` | the result, if it is an object |
//! | an `error` that is no error object | one with its text as the message |

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::envelope::{Malformed, Message, Part, Response, Wire, parse};
use super::id::{MAX_SAFE, whole};
use super::json::closing_quote;
use super::json_texts::json_texts;
use super::{Id, Object, RawJson, code, guard};

/// One message, or why there is none.
type Read = Result<Message, Box<Malformed>>;

/// What an error is told by that says nothing itself.
const NO_REASON: &str = "the server gave no reason";

/// Hands on the message that `text` is, or each message of the batch that it is.
pub fn each_message(text: &Bytes, mut take: impl FnMut(Read)) {
    match batch(text) {
        Some(items) => items.iter().for_each(|item| take(read(item))),
        None => take(read(text)),
    }
}

/// The same for a whole body. Around messages that begin lines, other text means nothing, as it means nothing on a
/// pipe.
pub fn each_in_body(text: &Bytes, mut take: impl FnMut(Read)) {
    let mut refused = None;
    let mut has_message = false;
    each_message(text, |message| match message {
        Ok(message) => {
            has_message = true;
            take(Ok(message));
        }
        Err(malformed) => refused = Some(malformed),
    });
    if has_message {
        return;
    }
    for part in json_texts(text) {
        each_message(&part, |message| {
            if let Ok(message) = message {
                has_message = true;
                take(Ok(message));
            }
        });
    }
    if has_message {
        return;
    }
    // One that is no JSON by the letter may be a message all the same.
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| line.len() < text.len()) {
        each_message(&text.slice_ref(line), |message| {
            if let Ok(message) = message {
                has_message = true;
                take(Ok(message));
            }
        });
    }
    if let Some(malformed) = refused.filter(|_| !has_message) {
        take(Err(malformed));
    }
}

/// The texts in an array; `None` if `text` is none, or an empty one.
fn batch(text: &Bytes) -> Option<Vec<Bytes>> {
    let is_array = |text: &[u8]| text.trim_ascii_start().first() == Some(&b'[');
    if !is_array(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)) || !guard::scan(text) {
        return None;
    }
    let elements = |text: &Bytes| {
        let items: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
        Some(items.into_iter().map(|item| text.slice_ref(item.get().as_bytes())).collect::<Vec<_>>())
    };
    elements(text).or_else(|| elements(&cleaned(text)?)).filter(|items| !items.is_empty())
}

/// Reads one message.
fn read(text: &Bytes) -> Read {
    match parse(text) {
        Ok(Message::Response(Response { id, outcome: Err(error) })) => {
            Ok(Message::Response(Response { id, outcome: Err(error_object(error)) }))
        }
        Ok(message) => Ok(message),
        Err(malformed) => {
            let clean = cleaned(text);
            reread(clean.as_ref().unwrap_or(text)).ok_or(malformed)
        }
    }
}

/// Reads a message that is none by the letter.
fn reread(text: &Bytes) -> Option<Message> {
    let wire = Wire::read_last(text).ok()?;
    let there = |part: Option<Part>| part.map(|part| part.of(text)).filter(|value| !value.is_null());
    if there(wire.jsonrpc)?.string()? != "2.0" {
        return None;
    }
    let (spelt_id, has_result) = (there(wire.id), wire.result.is_some());
    let id = spelt_id.clone().and_then(Id::new);
    if let Some(method) = there(wire.method) {
        let method = method.string()?.into_owned();
        let params = there(wire.params).filter(|params| !is_empty_array(params));
        if params.as_ref().is_some_and(|params| !params.is_object()) {
            return None;
        }
        return match id {
            Some(id) => Some(Message::Request { id, method, params }),
            None if spelt_id.is_none() => Some(Message::Notification { method, params }),
            None => None,
        };
    }
    let outcome = match (there(wire.result), there(wire.error)) {
        (Some(result), None) => Ok(result),
        (Some(result), Some(_)) if result.is_object() => Ok(result),
        (_, Some(error)) => Err(error_object(error)),
        (None, None) if has_result => Ok(RawJson::authored(Bytes::from_static(b"null"))),
        (None, None) => return None,
    };
    Some(Message::Response(Response { id, outcome }))
}

fn is_empty_array(value: &RawJson) -> bool {
    value.is_array() && value.elements().is_empty()
}

/// `error` as an error object that every client reads: itself, byte for byte, if it is one.
pub fn error_object(error: RawJson) -> RawJson {
    let code = error.get("code");
    let message = error.get("message");
    let is_whole =
        code.as_ref().is_some_and(is_code) && message.as_ref().is_some_and(|it| it.string().is_some());
    match is_whole {
        true => error,
        false => repaired(&error, code, message),
    }
}

fn repaired(error: &RawJson, code: Option<RawJson>, message: Option<RawJson>) -> RawJson {
    let told = message.or_else(|| (!error.is_object()).then(|| error.clone())).filter(|told| !told.is_null());
    let message = match &told {
        Some(told) => told.string().unwrap_or_else(|| Cow::Borrowed(told.as_str())),
        None => Cow::Borrowed(NO_REASON),
    };
    let code = code.as_ref().and_then(code_in);
    let mut repaired = Object::parse(error).unwrap_or_default();
    let is_told = repaired.get("data").is_some() || told.is_some() && code.is_some() || !error.is_object();
    repaired.set("code", RawJson::of(&code.unwrap_or_else(|| code::INTERNAL_ERROR.into())));
    repaired.set("message", RawJson::of_text(&message));
    if !is_told {
        repaired.set("data", error.clone());
    }
    repaired.to_json()
}

/// Whether this is a code as it should be: a whole number, spelt as one, that every reader can hold.
fn is_code(code: &RawJson) -> bool {
    code.to::<i64>().is_some_and(|number| number.unsigned_abs() <= MAX_SAFE)
}

/// The code that a number with a fraction of nothing, or a text, stands for.
fn code_in(code: &RawJson) -> Option<i64> {
    let text = match code.string() {
        Some(text) => text.trim().to_owned(),
        None => code.as_str().to_owned(),
    };
    let number: f64 = text.parse().ok()?;
    let size = i64::try_from(whole(number.abs())?).ok()?;
    Some(if number < 0.0 { -size } else { size })
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without what is no JSON but read by clients all the same; `None` if there is nothing of that.
fn cleaned(text: &Bytes) -> Option<Bytes> {
    let bare = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let readable = String::from_utf8_lossy(bare);
    let numbers = without_odd_numbers(readable.as_bytes());
    if numbers.is_none() && readable.len() == text.len() && matches!(readable, Cow::Borrowed(_)) {
        return None;
    }
    Some(numbers.map_or_else(|| Bytes::from(readable.into_owned()), Bytes::from))
}

/// `text` with `null` for each number that JSON has no word for; `None` if it has no such number.
fn without_odd_numbers(text: &[u8]) -> Option<Vec<u8>> {
    const ODD: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let (mut clean, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = closing_quote(text, at + 1).unwrap_or(text.len()),
            b'N' | b'I' | b'-' => {
                if let Some(word) = ODD.into_iter().find(|word| text[at..].starts_with(word)) {
                    clean.extend_from_slice(&text[copied..at]);
                    clean.extend_from_slice(b"null");
                    at += word.len() - 1;
                    copied = at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    (copied > 0).then(|| [clean.as_slice(), &text[copied..]].concat())
}

#[cfg(test)]
mod tests;
