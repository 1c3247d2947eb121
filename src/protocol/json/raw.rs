//! One JSON value, kept as the text it arrived as.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::members::Members;
use super::strings::{spells, text_of};

/// One valid JSON value as text: cheap to clone, never re-spelt.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(pub(super) Bytes);

impl RawJson {
    /// Checks that `text` is one JSON value and keeps it without the white space around it.
    ///
    /// # Errors
    /// What `serde_json` found wrong, with line and column.
    pub fn parse(text: Bytes) -> Result<Self, serde_json::Error> {
        let value: &RawValue = serde_json::from_slice(&text)?;
        Ok(Self::within(&text, value))
    }

    /// The part of an already checked `text` that `value` borrows.
    pub(in crate::protocol) fn within(text: &Bytes, value: &RawValue) -> Self {
        Self(text.slice_ref(value.get().as_bytes()))
    }

    /// Text of something the gateway itself authors.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        // Authored values are maps with string keys, which always serialise; `null` is the total answer.
        Self(serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from))
    }

    /// The string `text`, spelt.
    pub(in crate::protocol) fn of_text(text: &str) -> Self {
        if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
            return Self::of(text);
        }
        let mut spelt = Vec::with_capacity(text.len() + 2);
        spelt.push(b'"');
        spelt.extend_from_slice(text.as_bytes());
        spelt.push(b'"');
        Self(spelt.into())
    }

    /// Keeps `text` without looking: for what the gateway put together from values already checked.
    pub(crate) fn authored(text: Bytes) -> Self {
        Self(text)
    }

    /// `{}`.
    pub fn empty_object() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// The text's bytes: UTF-8 by construction.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("null")
    }

    /// The text, giving up the wrapper.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true: a JSON value has at least one character.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value as a typed one, for what the gateway must understand.
    pub fn to<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.0).ok()
    }

    /// The string this value is, if it is one.
    pub fn string(&self) -> Option<Cow<'_, str>> {
        text_of(&self.0)
    }

    /// Whether this value is an object.
    pub fn is_object(&self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// Whether this value is an array.
    pub fn is_array(&self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// Whether this value is `null`.
    pub fn is_null(&self) -> bool {
        self.0.as_ref() == b"null"
    }

    /// The member `key` of this object; the last one where a key stands twice.
    pub fn get(&self, key: &str) -> Option<RawJson> {
        self.get_all(key).last()
    }

    /// Every member `key` of this object.
    pub fn get_all(&self, key: &str) -> impl Iterator<Item = RawJson> {
        let members = Members::of(&self.0).into_iter().flatten();
        members
            .filter(move |member| spells(&self.0[member.key.clone()], key))
            .map(|member| self.part(member.value))
    }

    /// The members of this object, keys unescaped; none if it is no object.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, RawJson)> {
        let members = Members::of(&self.0).into_iter().flatten();
        members.filter_map(|member| Some((text_of(&self.0[member.key])?, self.part(member.value))))
    }

    pub(super) fn part(&self, place: Range<usize>) -> RawJson {
        Self(self.0.slice(place))
    }

    /// The elements of this array; none if it is no array.
    pub fn elements(&self) -> Vec<RawJson> {
        serde_json::from_slice::<Vec<&RawValue>>(&self.0)
            .map(|items| items.into_iter().map(|item| Self::within(&self.0, item)).collect())
            .unwrap_or_default()
    }
}

impl fmt::Debug for RawJson {
    /// Shows the size only: payloads do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

impl Serialize for RawJson {
    /// Writes the text as it is. Only for `serde_json`: no other format can carry it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_slice(&self.0).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    /// Keeps the text as it is. Only for `serde_json`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        Ok(Self(Bytes::from(text.into_string())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn debug_never_shows_a_payload() {
        assert_eq!(format!("{:?}", raw(r#""secret""#)), "RawJson(8 bytes)");
    }

    #[test]
    fn a_value_inside_a_typed_one_keeps_its_spelling() {
        let text = r#"[{"a" : 1.50e+2,"\u0062":"\u00e9"},12345678901234567890123]"#;
        let values: Vec<RawJson> = serde_json::from_str(text).unwrap();
        assert_eq!(values[0].as_str(), r#"{"a" : 1.50e+2,"\u0062":"\u00e9"}"#);
        assert_eq!(serde_json::to_string(&values).unwrap(), text);
    }
}
