//! An object edited member by member.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::RawJson;
use super::members::Place;
use super::strings::{has_escape, spells};
use super::writer::Writer;
use crate::protocol::Pieces;

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
        spells(self.key.as_bytes(), key)
    }

    fn write(&self, text: &mut BytesMut) {
        text.put_slice(self.key.as_bytes());
        text.put_u8(b':');
        text.put_slice(self.value.as_bytes());
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
        let members: Vec<Member> = value.is_object().then(|| value.places().map(member).collect())?;
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

    /// The object's text with some members another value, or, for `None`, gone; a value whose key is new comes last.
    /// The keys are such that need no escapes.
    pub fn changed(&self, changes: &[(&str, Option<RawJson>)]) -> RawJson {
        let added = changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, RawJson::len) + 4);
        let mut text = Writer::new(self.size() + added.sum::<usize>());
        for member in &self.members {
            match changes.iter().find(|(key, _)| member.is(key)) {
                None => text.spelt(member.key.as_bytes(), member.value.as_bytes()),
                Some((_, Some(value))) => text.spelt(member.key.as_bytes(), value.as_bytes()),
                Some((_, None)) => {}
            }
        }
        for (key, value) in changes {
            if let Some(value) = value
                && self.get(key).is_none()
            {
                text.member(key, value);
            }
        }
        text.finish()
    }

    /// The object's text, in which the value of `key` stays where it is in memory.
    pub fn to_pieces(&self, key: &str) -> Pieces {
        let Some(at) = self.members.iter().position(|m| m.is(key)) else { return self.to_json().into() };
        let (before, after) = (&self.members[..at], &self.members[at + 1..]);
        let (mut head, mut tail) = (BytesMut::new(), BytesMut::new());
        head.put_u8(b'{');
        for member in before {
            member.write(&mut head);
            head.put_u8(b',');
        }
        head.put_slice(self.members[at].key.as_bytes());
        head.put_u8(b':');
        for member in after {
            tail.put_u8(b',');
            member.write(&mut tail);
        }
        tail.put_u8(b'}');
        Pieces::around(head.freeze(), &self.members[at].value, tail.freeze())
    }

    /// The object's text: every untouched key and value as it arrived, no white space between them.
    pub fn to_json(&self) -> RawJson {
        let mut text = Writer::new(self.size());
        for member in &self.members {
            text.spelt(member.key.as_bytes(), member.value.as_bytes());
        }
        text.finish()
    }

    /// What its text takes, in bytes.
    fn size(&self) -> usize {
        self.members.iter().map(|m| m.key.len() + m.value.len() + 2).sum::<usize>() + 2
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
    let is_plain = |member: &Member| !has_escape(member.key.as_bytes());
    if members.len() <= FEW && members.iter().all(is_plain) {
        let is_new = |at: usize| members[..at].iter().all(|earlier| earlier.key != members[at].key);
        return (1..members.len()).all(is_new);
    }
    let mut keys: Vec<_> = members.iter().filter_map(|member| member.key.string()).collect();
    keys.sort_unstable();
    keys.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
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
    fn what_is_changed_stays_where_it_stands_and_what_is_new_comes_last() {
        let object = Object::parse(&raw(r#"{"a":1,"n\u0061me":"x","task":{}}"#)).unwrap();
        let changes = [("name", Some(raw("\"y\""))), ("new", Some(raw("2"))), ("task", None), ("no", None)];
        assert_eq!(object.changed(&changes).as_str(), r#"{"a":1,"n\u0061me":"y","new":2}"#);
        assert_eq!(Object::new().changed(&[("a", None)]).as_str(), "{}");
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
    fn an_object_in_pieces_is_the_same_object() {
        for text in
            ["{}", r#"{"a":1}"#, r#"{"a":1,"big":[2],"c":3}"#, r#"{"big":[2],"c":3}"#, r#"{"a":1,"big":[2]}"#]
        {
            assert_eq!(Object::parse(&raw(text)).unwrap().to_pieces("big").join(), text);
        }
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
