//! Where do the members of an object stand whose text was checked before?

use std::ops::Range;
use std::slice;
use std::sync::Arc;

use bytes::Bytes;

use super::RawJson;
use super::strings::{closing_quote, spells};

/// The value of `key` in a text that looks like an object but need not be valid JSON.
pub(in crate::protocol) fn salvage(text: &Bytes, key: &str) -> Option<RawJson> {
    let found = Members::of(text)?.find(|member| spells(&text[member.key.clone()], key))?;
    Some(RawJson::authored(text.slice(found.value)))
}

/// Where a member of an object stands.
#[derive(Clone)]
pub(in crate::protocol) struct Place {
    /// With its quotes.
    pub(in crate::protocol) key: Range<usize>,
    pub(in crate::protocol) value: Range<usize>,
}

/// Where all members of an object stand, noted by the pass that checked it: who asks for them later need not walk
/// the text again.
pub(in crate::protocol) type Outline = Arc<[Place]>;

/// The members of an object, one by one.
pub(super) enum Places<'a> {
    Noted(slice::Iter<'a, Place>),
    /// `None` for what is no object.
    Sought(Option<Members<'a>>),
}

impl Iterator for Places<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        match self {
            Self::Noted(places) => places.next().cloned(),
            Self::Sought(members) => members.as_mut()?.next(),
        }
    }
}

/// Walks an object's members. The text is valid JSON already, so the walk only has to find where
/// things end; on anything else it stops early.
pub(super) struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Members<'a> {
    pub(super) fn of(text: &'a [u8]) -> Option<Self> {
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
