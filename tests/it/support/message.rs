//! What does a message say, byte for byte?

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One JSON-RPC message, its members as the text they arrived as.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) method: String,
    pub(crate) params: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) error: Option<String>,
    /// Whether it came as an event, in which every line end is a line feed.
    pub(crate) is_event: bool,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Message {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let members: Members<'_> = serde_json::from_slice(text).ok()?;
        let text = |raw: Option<&RawValue>| raw.map(|raw| raw.get().to_owned());
        Some(Self {
            id: text(members.id),
            method: members.method.unwrap_or_default(),
            params: text(members.params),
            result: text(members.result),
            error: text(members.error),
            is_event: false,
        })
    }

    /// What is left of a text that was sent, in the way this message came.
    pub(crate) fn as_carried(&self, sent: &str) -> String {
        if self.is_event { sent.replace('\r', "\n") } else { sent.to_owned() }
    }

    /// The member `key` of the parameters.
    pub(crate) fn param(&self, key: &str) -> Option<String> {
        member(self.params.as_deref()?, key)
    }

    /// The member `key` of the result.
    pub(crate) fn result_of(&self, key: &str) -> Option<String> {
        member(self.result.as_deref()?, key)
    }

    /// The result, read.
    pub(crate) fn result_value(&self) -> Value {
        let text = self.result.as_deref().unwrap_or_else(|| panic!("no result but {self:?}"));
        serde_json::from_str(text).unwrap()
    }

    /// The error, read.
    pub(crate) fn error_value(&self) -> Value {
        let text = self.error.as_deref().unwrap_or_else(|| panic!("no error but {self:?}"));
        serde_json::from_str(text).unwrap()
    }

    /// The body of a failure on the gateway's side, as a model reads it.
    pub(crate) fn failure(&self) -> Value {
        let result = self.result_value();
        assert_eq!(result["isError"], true, "not a failed call: {result}");
        serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
    }
}

/// The text of one member of an object.
pub(crate) fn member(object: &str, key: &str) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(object).ok()?;
    members.get(key).map(|value| value.get().to_owned())
}

pub(crate) fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

pub(crate) fn error(id: &str, error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

pub(crate) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}
