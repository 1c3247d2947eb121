//! One JSON value, kept as the text it arrived as.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::members::{Members, Outline, Place, Places};
use super::strings::{spells, text_of};
use super::writer::put_text;

/// One valid JSON value as text: cheap to clone, never re-spelt.
#[derive(Clone)]
pub struct RawJson {
    text: Bytes,
    /// Where the members stand, if the pass that checked the text noted it.
    outline: Option<Outline>,
}

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
        Self::authored(text.slice_ref(value.get().as_bytes()))
    }

    /// Text of something the gateway itself authors.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        // Authored values are maps with string keys, which always serialise; `null` is the total answer.
        Self::authored(serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from))
    }

    /// A value that the gateway itself spells, as JSON. Nothing is copied.
    pub fn of_spelt(spelt: &'static str) -> Self {
        Self::authored(Bytes::from_static(spelt.as_bytes()))
    }

    /// The string `text`, spelt.
    pub fn of_text(text: &str) -> Self {
        let mut spelt = BytesMut::with_capacity(text.len() + 2);
        put_text(&mut spelt, text);
        Self::authored(spelt.freeze())
    }

    /// Keeps `text` without looking: for what the gateway put together from values already checked.
    pub(crate) fn authored(text: Bytes) -> Self {
        Self { text, outline: None }
    }

    /// The same for an object whose members were found on the way.
    pub(in crate::protocol) fn outlined(text: Bytes, outline: Option<Outline>) -> Self {
        Self { text, outline }
    }

    /// `{}`.
    pub fn empty_object() -> Self {
        Self::authored(Bytes::from_static(b"{}"))
    }

    /// The text's bytes: UTF-8 by construction.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or("null")
    }

    /// The text, giving up the wrapper.
    pub fn into_bytes(self) -> Bytes {
        self.text
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Never true: a JSON value has at least one character.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The value as a typed one, for what the gateway must understand.
    pub fn to<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.text).ok()
    }

    /// The string this value is, if it is one.
    pub fn string(&self) -> Option<Cow<'_, str>> {
        text_of(&self.text)
    }

    /// Whether this value is an object.
    pub fn is_object(&self) -> bool {
        self.text.first() == Some(&b'{')
    }

    /// Whether this value is an array.
    pub fn is_array(&self) -> bool {
        self.text.first() == Some(&b'[')
    }

    /// Whether this value is `null`.
    pub fn is_null(&self) -> bool {
        self.text.as_ref() == b"null"
    }

    /// The member `key` of this object; the last one where a key stands twice.
    pub fn get(&self, key: &str) -> Option<RawJson> {
        self.get_all(key).last()
    }

    /// Every member `key` of this object.
    pub fn get_all(&self, key: &str) -> impl Iterator<Item = RawJson> {
        self.places()
            .filter(move |member| spells(&self.text[member.key.clone()], key))
            .map(|member| self.part(member.value))
    }

    /// The members of this object, keys unescaped; none if it is no object.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, RawJson)> {
        self.places().filter_map(|member| Some((text_of(&self.text[member.key])?, self.part(member.value))))
    }

    /// Keys with their quotes and escapes, and values, as they stand.
    pub fn spelt_members(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places().map(|member| (&self.text[member.key], &self.text[member.value]))
    }

    /// Where the members of this object stand; nowhere if it is no object.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        match &self.outline {
            Some(outline) => Places::Noted(outline.iter()),
            None => Places::Sought(Members::of(&self.text)),
        }
    }

    /// The value that `part`, borrowed from this one, is.
    pub(in crate::protocol) fn sharing(&self, part: &[u8]) -> RawJson {
        Self::authored(self.text.slice_ref(part))
    }

    pub(super) fn part(&self, place: Range<usize>) -> RawJson {
        Self::authored(self.text.slice(place))
    }

    /// This object with another `value` wherever it has a member `key`, and every other byte as it is; `None` if it
    /// has none.
    pub fn with(&self, key: &str, value: &RawJson) -> Option<RawJson> {
        let mut text = BytesMut::with_capacity(self.len() + value.len());
        let mut done = 0;
        for place in self.places().filter(|place| spells(&self.text[place.key.clone()], key)) {
            text.put_slice(&self.text[done..place.value.start]);
            text.put_slice(value.as_bytes());
            done = place.value.end;
        }
        text.put_slice(&self.text[done..]);
        (done > 0).then(|| Self::authored(text.freeze()))
    }

    /// The elements of this array; none if it is no array.
    pub fn elements(&self) -> Vec<RawJson> {
        serde_json::from_slice::<Vec<&RawValue>>(&self.text)
            .map(|items| items.into_iter().map(|item| Self::within(&self.text, item)).collect())
            .unwrap_or_default()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RawJson {}

impl Hash for RawJson {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for RawJson {
    /// Shows the size only: payloads do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.text.len())
    }
}

impl Serialize for RawJson {
    /// Writes the text as it is. Only for `serde_json`: no other format can carry it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_slice(&self.text).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    /// Keeps the text as it is. Only for `serde_json`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        Ok(Self::authored(Bytes::from(text.into_string())))
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
    fn another_value_stands_wherever_the_old_one_did_and_nothing_else_moves() {
        let text = r#"{ "a" : 1 , "b":{"a":2}, "\u0061":"x" }"#;
        let changed = raw(text).with("a", &raw("[3]")).unwrap();
        assert_eq!(changed.as_str(), r#"{ "a" : [3] , "b":{"a":2}, "\u0061":[3] }"#);
        assert_eq!(raw(text).with("c", &raw("3")), None);
    }

    #[test]
    fn a_value_inside_a_typed_one_keeps_its_spelling() {
        let text = r#"[{"a" : 1.50e+2,"\u0062":"\u00e9"},12345678901234567890123]"#;
        let values: Vec<RawJson> = serde_json::from_str(text).unwrap();
        assert_eq!(values[0].as_str(), r#"{"a" : 1.50e+2,"\u0062":"\u00e9"}"#);
        assert_eq!(serde_json::to_string(&values).unwrap(), text);
    }
}
