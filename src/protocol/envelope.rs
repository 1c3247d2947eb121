//! The JSON-RPC envelope: one pass over a message, everything inside it left as text.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::json::{Fault, Flaw, Outline, Place, read_object, salvage, unescaped};
use super::{Id, RawJson, RpcError, guard};

/// One JSON-RPC message.
#[derive(Debug, Clone)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// To be echoed.
        id: Id,
        /// What is asked for.
        method: String,
        /// An object, if there is one.
        params: Option<RawJson>,
    },
    /// Wants none.
    Notification {
        /// What happened.
        method: String,
        /// An object, if there is one.
        params: Option<RawJson>,
    },
    /// The answer to a request of ours.
    Response(Response),
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Response {
    /// Of the request; none when the peer could not read it.
    pub id: Option<Id>,
    /// The `result` or the `error` member.
    pub outcome: Result<RawJson, RawJson>,
}

/// A message that was refused, with as much of its id as could be read.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// Echoed on the error.
    pub id: Option<Id>,
    /// −32700 or −32600.
    pub error: RpcError,
}

impl Malformed {
    pub(super) fn new(id: Option<Id>, error: RpcError) -> Box<Self> {
        Box::new(Self { id, error })
    }
}

/// The value of a member of the envelope, as it stands in the text.
pub(super) struct Part {
    at: Range<usize>,
    outline: Option<Outline>,
}

impl Part {
    pub(super) fn of(self, text: &Bytes) -> RawJson {
        RawJson::outlined(text.slice(self.at), self.outline)
    }
}

/// The members an envelope may have.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) jsonrpc: Option<Part>,
    pub(super) id: Option<Part>,
    pub(super) method: Option<Part>,
    pub(super) params: Option<Part>,
    pub(super) result: Option<Part>,
    pub(super) error: Option<Part>,
    /// Where a member begins that stood before: which of the two counts is not known.
    twice: Option<usize>,
}

impl Wire {
    /// The members of a message. Of one that stands twice the last counts, as it does to most readers.
    pub(super) fn read_last(text: &[u8]) -> Result<Self, Fault> {
        let mut wire = Self::default();
        read_object(text, |place, outline| wire.note(text, place, outline))?;
        Ok(wire)
    }

    fn read(text: &[u8]) -> Result<Self, Fault> {
        let wire = Self::read_last(text)?;
        match wire.twice {
            Some(at) => Err(Fault { flaw: Flaw::NoObject, at }),
            None => Ok(wire),
        }
    }

    fn note(&mut self, text: &[u8], Place { key, value }: Place, outline: Option<Outline>) {
        let at = key.start;
        let slot = match unescaped(&text[key]).as_deref() {
            Some(b"jsonrpc") => &mut self.jsonrpc,
            Some(b"id") => &mut self.id,
            Some(b"method") => &mut self.method,
            Some(b"params") => &mut self.params,
            Some(b"result") => &mut self.result,
            Some(b"error") => &mut self.error,
            _ => return,
        };
        if slot.replace(Part { at: value, outline }).is_some() {
            self.twice = Some(at);
        }
    }
}

/// Reads one message.
///
/// # Errors
/// −32700 for text that is not JSON or nests too deep, −32600 for JSON that is no message.
pub fn parse(text: &Bytes) -> Result<Message, Box<Malformed>> {
    let wire = Wire::read(text).map_err(|fault| Malformed::new(None, describe(text, fault)))?;
    let keep = |part: Part| part.of(text);
    let (has_id, id) = (wire.id.is_some(), wire.id.map(keep).and_then(Id::new));
    let refuse = |message: &str| Malformed::new(id.clone(), RpcError::invalid_request(message));

    if wire.jsonrpc.map(|part| &text[part.at]) != Some(b"\"2.0\"") {
        return Err(refuse("`jsonrpc` must be \"2.0\""));
    }
    let has_unusable_id = has_id && id.is_none();
    let Some(method) = wire.method else {
        let outcome = match (wire.result, wire.error) {
            (Some(result), None) => Ok(keep(result)),
            (None, Some(error)) => Err(keep(error)),
            _ => {
                return Err(refuse(
                    "the message has neither `method` nor exactly one of `result` and `error`",
                ));
            }
        };
        return Ok(Message::Response(Response { id, outcome }));
    };
    if has_unusable_id {
        return Err(refuse("`id` must be a string or a number"));
    }
    let Some(method) = keep(method).string().map(String::from) else {
        return Err(refuse("`method` must be a string"));
    };
    let params = wire.params.map(keep).filter(|params| !params.is_null());
    if params.as_ref().is_some_and(|params| !params.is_object()) {
        return Err(refuse("`params` must be an object"));
    }
    Ok(match id {
        Some(id) => Message::Request { id, method, params },
        None => Message::Notification { method, params },
    })
}

/// The messages of a batch, each read or refused.
pub type Batch = Vec<Result<Message, Box<Malformed>>>;

/// The messages of a 2025-03-26 batch, each judged on its own; `None` if `text` is no array.
///
/// # Errors
/// −32700 for text that is not JSON, −32600 for an empty batch.
pub fn parse_batch(text: &Bytes) -> Option<Result<Batch, Box<Malformed>>> {
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return None;
    }
    if !guard::scan(text) {
        return Some(parse(text).map(|message| vec![Ok(message)]));
    }
    Some(match serde_json::from_slice::<Vec<&RawValue>>(text) {
        Err(error) => Err(Malformed::new(None, no_batch(&error))),
        Ok(items) if items.is_empty() => {
            Err(Malformed::new(None, RpcError::invalid_request("the batch is empty")))
        }
        Ok(items) => {
            Ok(items.into_iter().map(|item| parse(&text.slice_ref(item.get().as_bytes()))).collect())
        }
    })
}

/// The id of a message that cannot be read, if it still shows.
pub fn salvage_id(text: &Bytes) -> Option<Id> {
    let text = text.slice_ref(text.trim_ascii());
    salvage(&text, "id").and_then(Id::new)
}

/// Says what is wrong with a text without quoting it: it may hold secrets.
fn describe(text: &[u8], fault: Fault) -> RpcError {
    let before = &text[..fault.at];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let place = format!("line {line}, column {}", before.len() - line_start + 1);
    match fault.flaw {
        Flaw::Syntax => RpcError::parse_error(format!("not valid JSON ({place})")),
        Flaw::End => RpcError::parse_error(format!("the JSON ends too early ({place})")),
        Flaw::TooDeep => {
            let levels = guard::MAX_DEPTH;
            RpcError::invalid_request(format!("the message nests deeper than {levels} levels"))
        }
        Flaw::NoObject => {
            RpcError::invalid_request(format!("not one JSON-RPC message with unique members ({place})"))
        }
    }
}

fn no_batch(error: &serde_json::Error) -> RpcError {
    RpcError::parse_error(format!("not valid JSON (line {}, column {})", error.line(), error.column()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::protocol::{code, frame};

    fn read(text: &str) -> Result<Message, Box<Malformed>> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn refused(text: &str) -> (i32, Option<String>) {
        let malformed = read(text).unwrap_err();
        (malformed.error.code, malformed.id.map(|id| id.raw().as_str().to_owned()))
    }

    #[test]
    fn the_parts_of_a_request_keep_their_spelling() {
        let text =
            r#"{"id" : 7.0e1,"jsonrpc":"2.0","params":{ "x": 1.10 },"method":"tools\/call","extra":1}"#;
        let Message::Request { id, method, params } = read(text).unwrap() else { panic!("no request") };
        assert_eq!(id.raw().as_str(), "7.0e1");
        assert_eq!(method, "tools/call");
        assert_eq!(params.unwrap().as_str(), r#"{ "x": 1.10 }"#);
    }

    #[test]
    fn the_members_noted_on_the_way_are_those_that_a_walk_finds() {
        let many: Vec<_> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        let odd = r#"{ "a" : 1 , "b":{"a":[2,{"c":"}"}]},"\u0061": "x\"}" ,"a":[]}"#;
        for params in ["{}", odd, &format!("{{{}}}", many.join(","))] {
            let text = format!(r#" {{"id":1,"params": {params} ,"jsonrpc":"2.0","method":"m"}}"#);
            let Message::Request { params: Some(noted), .. } = read(&text).unwrap() else {
                panic!("no request")
            };
            let walked = RawJson::authored(Bytes::copy_from_slice(params.as_bytes()));
            let members =
                |of: &RawJson| of.members().map(|(key, value)| (key.into_owned(), value)).collect::<Vec<_>>();
            assert_eq!(members(&noted), members(&walked));
            assert_eq!(noted.get("a"), walked.get("a"));
        }
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_id() {
        assert_eq!(refused("{"), (code::PARSE_ERROR, None));
        assert_eq!(refused("[]"), (code::INVALID_REQUEST, None));
        assert_eq!(refused(r#"{"id":1,"method":"x"}"#), (code::INVALID_REQUEST, Some("1".into())));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#), (code::INVALID_REQUEST, None));
        assert_eq!(
            refused(r#"{"jsonrpc":"2.0","id":"a","method":"x","params":[1]}"#).1,
            Some("\"a\"".into())
        );
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#).0, code::INVALID_REQUEST);
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#).0, code::INVALID_REQUEST);
        assert_eq!(refused(&"[".repeat(1000)).0, code::INVALID_REQUEST);
    }

    #[test]
    fn null_results_are_answers() {
        let Message::Response(response) = read(r#"{"jsonrpc":"2.0","id":3,"result":null}"#).unwrap() else {
            panic!("no response")
        };
        assert!(response.outcome.unwrap().is_null());
        assert_eq!(response.id.unwrap().as_number(), Some(3));
    }

    #[test]
    fn an_unreadable_message_may_still_show_its_id() {
        let shown =
            |text: &'static str| salvage_id(&Bytes::from_static(text.as_bytes())).map(|id| id.as_number());
        assert_eq!(shown(r#" {"result":{"id":9,"x":NaN},"jsonrpc":"2.0","id":7}"#), Some(Some(7)));
        assert_eq!(shown(r#"{"a":"b"#), None);
        assert_eq!(shown("Starting on id: 7"), None);
        let deep = format!(r#"{{"result":{}1{},"id":3}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(salvage_id(&Bytes::from(deep)), Some(Id::number(3)));
    }

    #[test]
    fn every_message_of_a_batch_is_judged_alone() {
        let batch = Bytes::from_static(br#" [{"jsonrpc":"2.0","method":"a"}, 5]"#);
        let items = parse_batch(&batch).unwrap().unwrap();
        assert!(items[0].is_ok() && items[1].is_err());
        assert!(parse_batch(&Bytes::from_static(b"[]")).unwrap().is_err());
        assert!(parse_batch(&Bytes::from_static(b"{}")).is_none());
    }

    #[test]
    fn frames_read_back_as_they_were_meant() {
        let id = Id::number(5);
        let params = RawJson::of(&serde_json::json!({"a": 1}));
        assert_eq!(
            frame::request(&id, "x\"y", Some(&params)),
            r#"{"jsonrpc":"2.0","id":5,"method":"x\"y","params":{"a":1}}"#
        );
        assert_eq!(frame::error(None, &params), r#"{"jsonrpc":"2.0","error":{"a":1}}"#);
    }
}
