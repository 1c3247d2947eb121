//! JSON kept as the text it arrived as, and objects edited member by member.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// One valid JSON value as text: cheap to clone, never re-spelt.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(Bytes);

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
    pub(super) fn within(text: &Bytes, value: &RawValue) -> Self {
        Self(text.slice_ref(value.get().as_bytes()))
    }

    /// Text of something the gateway itself authors.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        // Authored values are maps with string keys, which always serialise; `null` is the total answer.
        Self(serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from))
    }

    /// The string `text`, spelt.
    pub(super) fn of_text(text: &str) -> Self {
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

    fn part(&self, place: Range<usize>) -> RawJson {
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

/// An object as its members in order, each still the text it arrived as.
#[derive(Clone, Debug)]
pub struct Object {
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    /// With its quotes and escapes.
    key: RawJson,
    value: RawJson,
}

impl Member {
    fn is(&self, key: &str) -> bool {
        spells(&self.key.0, key)
    }
}

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// Cuts an object into its members. `None` if `value` is no object or has a key twice: which of
    /// the two the next reader would believe is not known.
    pub fn parse(value: &RawJson) -> Option<Self> {
        let member = |place: Place| Member { key: value.part(place.key), value: value.part(place.value) };
        let members: Vec<Member> = Members::of(&value.0)?.map(member).collect();
        are_unique(&members).then_some(Self { members })
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&RawJson> {
        self.members.iter().find(|m| m.is(key)).map(|m| &m.value)
    }

    /// The keys, unescaped, in order.
    pub fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.members.iter().filter_map(|m| m.key.string())
    }

    /// Keys, unescaped, and values, in order.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, &RawJson)> {
        self.members.iter().filter_map(|m| Some((m.key.string()?, &m.value)))
    }

    /// The same, to replace values where they stand.
    pub fn members_mut(&mut self) -> impl Iterator<Item = (Cow<'_, str>, &mut RawJson)> {
        self.members.iter_mut().filter_map(|m| Some((m.key.string()?, &mut m.value)))
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Replaces the value of `key` where it stands, or adds it at the end.
    pub fn set(&mut self, key: &str, value: RawJson) -> &mut Self {
        match self.members.iter_mut().find(|m| m.is(key)) {
            Some(member) => member.value = value,
            None => self.members.push(Member { key: RawJson::of_text(key), value }),
        }
        self
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<RawJson> {
        let at = self.members.iter().position(|m| m.is(key))?;
        Some(self.members.remove(at).value)
    }

    /// Keeps the members whose key passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.members.retain(|m| m.key.string().is_some_and(|key| keep(&key)));
    }

    /// The object's text: every untouched key and value as it arrived, no white space between them.
    pub fn to_json(&self) -> RawJson {
        let size = self.members.iter().map(|m| m.key.len() + m.value.len() + 2).sum::<usize>() + 2;
        let mut text = BytesMut::with_capacity(size);
        text.put_u8(b'{');
        for (position, member) in self.members.iter().enumerate() {
            if position > 0 {
                text.put_u8(b',');
            }
            text.put_slice(member.key.as_bytes());
            text.put_u8(b':');
            text.put_slice(member.value.as_bytes());
        }
        text.put_u8(b'}');
        RawJson(text.freeze())
    }
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

/// Members that are compared each with each, rather than sorted.
const FEW: usize = 8;

fn are_unique(members: &[Member]) -> bool {
    let is_plain = |member: &Member| !has_escape(&member.key.0);
    if members.len() <= FEW && members.iter().all(is_plain) {
        let is_new = |at: usize| members[..at].iter().all(|earlier| earlier.key != members[at].key);
        return (1..members.len()).all(is_new);
    }
    let mut keys: Vec<_> = members.iter().filter_map(|member| member.key.string()).collect();
    keys.sort_unstable();
    keys.windows(2).all(|pair| pair[0] != pair[1])
}

/// The string that `raw` spells; `None` if it spells something else.
fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if has_escape(inner) {
        return serde_json::from_slice::<String>(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// Whether `raw`, a string with its quotes, spells `text`.
fn spells(raw: &[u8], text: &str) -> bool {
    // An escape is longer than what it stands for.
    match raw.len().saturating_sub(2).cmp(&text.len()) {
        Ordering::Less => false,
        Ordering::Equal => text_of(raw).is_some_and(|own| own == text),
        Ordering::Greater => has_escape(raw) && text_of(raw).is_some_and(|own| own == text),
    }
}

fn has_escape(text: &[u8]) -> bool {
    memchr::memchr(b'\\', text).is_some()
}

/// The value of `key` in a text that looks like an object but need not be valid JSON.
pub(super) fn salvage(text: &Bytes, key: &str) -> Option<RawJson> {
    let found = Members::of(text)?.find(|member| spells(&text[member.key.clone()], key))?;
    Some(RawJson(text.slice(found.value)))
}

/// Where a member of an object stands.
struct Place {
    /// With its quotes.
    key: Range<usize>,
    value: Range<usize>,
}

/// Walks an object's members. The text is valid JSON already, so the walk only has to find where
/// things end; on anything else it stops early.
struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Members<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        (text.first() == Some(&b'{')).then_some(Self { text, at: 1 })
    }

    fn skip(&mut self, separator: u8) {
        while let Some(byte) = self.text.get(self.at) {
            if !byte.is_ascii_whitespace() && *byte != separator {
                break;
            }
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<Range<usize>> {
        let end = value_end(self.text, self.at)?;
        Some(std::mem::replace(&mut self.at, end)..end)
    }
}

impl Iterator for Members<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        self.skip(b',');
        if self.text.get(self.at) != Some(&b'"') {
            return None;
        }
        let key = self.value()?;
        self.skip(b':');
        Some(Place { key, value: self.value()? })
    }
}

/// Steps of eight characters before the rest of a string is searched as a long one.
const SHORT: usize = 4;

/// Where the value that starts at `start` ends.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => string_end(text, start),
        b'{' | b'[' => nested_end(text, start),
        _ => {
            let rest = text.get(start..)?;
            let length = rest.iter().position(|b| b",]}".contains(b) || b.is_ascii_whitespace());
            Some(start + length.unwrap_or(rest.len()))
        }
    }
}

fn string_end(text: &[u8], start: usize) -> Option<usize> {
    Some(closing_quote(text, start + 1)? + 1)
}

/// Where the string ends whose first character is at `start`.
pub(super) fn closing_quote(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at = next_quote(text, at)?;
        // Escapes are not looked at one by one: prose is full of line breaks, and quotes are few.
        let backslashes = text[start..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes.is_multiple_of(2) {
            return Some(at);
        }
        at += 1;
    }
}

fn next_quote(text: &[u8], mut at: usize) -> Option<usize> {
    // Most strings are keys and other short ones, over before a vectorised search has begun.
    for _ in 0..SHORT {
        let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let found = quotes(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + memchr::memchr(b'"', text.get(at..)?)?)
}

/// Marks the first of eight bytes that is a quote; nothing before it is marked.
fn quotes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zero_at_quote = word ^ u64::from_ne_bytes([b'"'; 8]);
    zero_at_quote.wrapping_sub(ONES) & !zero_at_quote & (ONES << 7)
}

fn nested_end(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn untouched_members_keep_their_spelling() {
        let text = r#" { "a" : 1.50e+2 , "\u0062":"\u00e9\"}", "c":[ {"d": "]"} ] , "e":{}} "#;
        let mut object = Object::parse(&raw(text)).unwrap();
        object.set("c", raw("0"));
        assert_eq!(object.to_json().as_str(), r#"{"a":1.50e+2,"\u0062":"\u00e9\"}","c":0,"e":{}}"#);
        assert_eq!(object.get("b").unwrap().string().unwrap(), "é\"}");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_however_it_is_spelt() {
        assert!(Object::parse(&raw(r#"{"name":1,"n\u0061me":2}"#)).is_none());
        assert!(Object::parse(&raw("[1]")).is_none());
    }

    #[test]
    fn a_string_ends_at_the_first_quote_that_is_not_escaped() {
        for inner in [
            "",
            "x",
            r"\\",
            r#"\""#,
            r#"a\\\"b"#,
            r#"1234567\"9"#,
            "longer than four times eight letters",
            r"\\\\\\\\",
        ] {
            let padded = format!("{}{inner}", "p".repeat(inner.len() % 9));
            let object = raw(&format!(r#"{{"a":"{padded}","b":1}}"#));
            assert_eq!(object.get("a").unwrap().as_str(), format!("\"{padded}\""));
            assert_eq!(object.get("b").unwrap().as_str(), "1");
        }
        assert_eq!(closing_quote(br#"never\""#, 0), None);
    }

    #[test]
    fn removing_leaves_no_stray_comma() {
        let mut object = Object::parse(&raw(r#"{"a":1,"b":2,"c":3}"#)).unwrap();
        object.remove("a");
        object.remove("c");
        assert_eq!(object.to_json().as_str(), r#"{"b":2}"#);
        object.remove("b");
        assert_eq!(object.to_json().as_str(), "{}");
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

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn cutting_and_joining_any_object_changes_nothing(
            members in prop::collection::hash_map(any::<String>(), json(), 0..8),
            pretty in any::<bool>(),
        ) {
            let value = serde_json::Value::Object(members.into_iter().collect());
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let object = Object::parse(&raw(&text)).unwrap();
            let again: serde_json::Value = serde_json::from_str(object.to_json().as_str()).unwrap();
            prop_assert_eq!(&again, &value);
            for (key, inner) in value.as_object().unwrap() {
                prop_assert_eq!(&object.get(key).unwrap().to::<serde_json::Value>().unwrap(), inner);
            }
        }
    }
}
