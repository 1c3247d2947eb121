//! Is a text from outside JSON, and where do its members stand? One pass answers both.
//!
//! What it lets through is RFC 8259 in UTF-8, nested no deeper than [`MAX_DEPTH`]; halves of surrogate pairs pass,
//! because what is relayed is for others to read.

use std::ops::Range;

use super::members::{Outline, Place};
use super::strings::closing_quote;
use crate::protocol::guard::MAX_DEPTH;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Flaw {
    Syntax,
    /// It ends too early.
    End,
    TooDeep,
    /// It is JSON, and no object.
    NoObject,
}

/// What is wrong with a text, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Fault {
    pub(in crate::protocol) flaw: Flaw,
    pub(in crate::protocol) at: usize,
}

/// Members of one object that are noted; more are sought by who asks for them, so that what is noted stays small
/// beside the text.
const NOTED: usize = 32;

/// Reads the object that `text` is, and shows each of its members, with quotes and escapes as they stand; for one
/// that is an object also where its members stand, counted from its own start.
pub(in crate::protocol) fn read_object(
    text: &[u8],
    mut member: impl FnMut(Place, Option<Outline>),
) -> Result<(), Fault> {
    let mut reader = Reader::new(text)?;
    reader.skip_space();
    let is_object = reader.peek()? == b'{';
    match is_object {
        true => reader.object(|reader, key| {
            let start = reader.at;
            let outline = reader.noted_value()?;
            member(Place { key, value: start..reader.at }, outline);
            Ok(())
        })?,
        false => reader.value()?,
    }
    reader.skip_space();
    if reader.at < text.len() {
        return reader.fault(Flaw::Syntax);
    }
    if is_object { Ok(()) } else { Err(Fault { flaw: Flaw::NoObject, at: 0 }) }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    /// Whether there is a byte anywhere that could be wrong in a string: one look at the whole text is cheaper
    /// than one at each string, and most texts have none.
    has_controls: bool,
    /// Where the next backslash is, or the end of the text: a string that ends before has none.
    next_escape: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Result<Self, Fault> {
        if let Err(error) = std::str::from_utf8(text) {
            return Err(Fault { flaw: Flaw::Syntax, at: error.valid_up_to() });
        }
        Ok(Self {
            text,
            at: 0,
            depth: 0,
            has_controls: has_controls(text),
            next_escape: next_escape(text, 0),
        })
    }

    fn value(&mut self) -> Result<(), Fault> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.object(|reader, _| reader.value()),
            b'[' => self.array(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Reads a value and notes where its members stand, if it is an object of not too many.
    fn noted_value(&mut self) -> Result<Option<Outline>, Fault> {
        if self.peek()? != b'{' {
            return self.value().map(|()| None);
        }
        let (origin, mut places) = (self.at, Vec::with_capacity(4));
        self.object(|reader, key| {
            let start = reader.at;
            reader.value()?;
            if places.len() <= NOTED {
                places.push(Place {
                    key: key.start - origin..key.end - origin,
                    value: start - origin..reader.at - origin,
                });
            }
            Ok(())
        })?;
        Ok((places.len() <= NOTED).then(|| places.into()))
    }

    /// Reads an object, the value of each key by `value`.
    fn object(
        &mut self,
        mut value: impl FnMut(&mut Self, Range<usize>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.is_empty(b'}')? {
            return Ok(());
        }
        loop {
            let start = self.at;
            match self.peek()? {
                b'"' => self.string()?,
                _ => return self.fault(Flaw::Syntax),
            }
            let key = start..self.at;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            value(self, key)?;
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self) -> Result<(), Fault> {
        if self.is_empty(b']')? {
            return Ok(());
        }
        loop {
            self.value()?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Enters an object or array, up to its first part; whether it has none, and is over.
    fn is_empty(&mut self, closing: u8) -> Result<bool, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fault(Flaw::TooDeep);
        }
        self.at += 1;
        self.skip_space();
        let is_empty = self.peek()? == closing;
        if is_empty {
            self.at += 1;
            self.depth -= 1;
        }
        Ok(is_empty)
    }

    /// Goes on to the next part; whether there is none.
    fn ends(&mut self, closing: u8) -> Result<bool, Fault> {
        self.skip_space();
        if self.peek()? == closing {
            self.at += 1;
            self.depth -= 1;
            return Ok(true);
        }
        self.expect(b',')?;
        self.skip_space();
        Ok(false)
    }

    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at + 1;
        let end = closing_quote(self.text, start).ok_or(Fault { flaw: Flaw::End, at: self.text.len() })?;
        let inner = &self.text[start..end];
        if self.has_controls && has_controls(inner) {
            return self.fault(Flaw::Syntax);
        }
        if self.next_escape < end {
            if !are_escapes_known(inner) {
                return self.fault(Flaw::Syntax);
            }
            self.next_escape = next_escape(self.text, end);
        }
        self.at = end + 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.at += usize::from(self.peek()? == b'-');
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek()?, b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek()?.is_ascii_digit() {
            return self.fault(Flaw::Syntax);
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.text[self.at..].starts_with(word) {
            return self.fault(Flaw::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek()? != byte {
            return self.fault(Flaw::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, Fault> {
        self.text.get(self.at).copied().ok_or(Fault { flaw: Flaw::End, at: self.at })
    }

    fn fault<T>(&self, flaw: Flaw) -> Result<T, Fault> {
        Err(Fault { flaw, at: self.at })
    }
}

/// Looks at every byte, which takes less than stopping at the first.
fn has_controls(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | (*byte < b' '))
}

fn next_escape(text: &[u8], from: usize) -> usize {
    memchr::memchr(b'\\', &text[from..]).map_or(text.len(), |at| from + at)
}

/// Whether each backslash begins something that JSON knows.
fn are_escapes_known(mut text: &[u8]) -> bool {
    while let Some(at) = memchr::memchr(b'\\', text) {
        let length = match text.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if is_code_unit(text.get(at + 2..at + 6)) => 6,
            _ => return false,
        };
        text = &text[at + length..];
    }
    true
}

fn is_code_unit(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn is_read(text: &[u8]) -> bool {
        !matches!(
            read_object(text, |_, _| {}),
            Err(Fault { flaw: Flaw::Syntax | Flaw::End | Flaw::TooDeep, .. })
        )
    }

    #[test]
    fn what_is_almost_json_is_refused_where_it_goes_wrong() {
        use Flaw::{End, NoObject, Syntax, TooDeep};
        let deep = format!("{{\"a\":{}", "[".repeat(MAX_DEPTH));
        let table: [(&[u8], Flaw, usize); 14] = [
            (b"", End, 0),
            (b"{\"a\":1", End, 6),
            (b"{\"a", End, 3),
            (b"{\"a\":1,}", Syntax, 7),
            (b"{\"a\" 1}", Syntax, 5),
            (b"{a:1}", Syntax, 1),
            (b"{\"a\":01}", Syntax, 6),
            (b"{\"a\":1.}", Syntax, 7),
            (b"{\"a\":\"\\x\"}", Syntax, 5),
            (b"{\"a\":\"\n\"}", Syntax, 5),
            (b"{\"a\":\"\xff\"}", Syntax, 6),
            (b"{} x", Syntax, 3),
            (b" [1]", NoObject, 0),
            (deep.as_bytes(), TooDeep, 4 + MAX_DEPTH),
        ];
        for (text, flaw, at) in table {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(read_object(text, |_, _| {}), Err(Fault { flaw, at }), "{shown}");
        }
    }

    /// Texts that are JSON, or would be but for a byte or two.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"a\"",
            "\\",
            "\\u00e9",
            "\\ud800",
            "\\u12g4",
            "0",
            "-",
            "12",
            ".5",
            "e",
            "E+1",
            "true",
            "fals",
            "null",
            " ",
            "\n",
            "\t",
            "\u{b}",
            "é",
            "longer than a handful of words",
        ]);
        let wild = prop::collection::vec(piece.clone(), 0..12).prop_map(|pieces| pieces.concat());
        let in_string = prop::collection::vec(piece.clone(), 0..6)
            .prop_map(|it| format!("{{\"k\":\"{}\"}}", it.concat()));
        let as_value =
            prop::collection::vec(piece, 0..6).prop_map(|it| format!("[1,{{\"k\": {}}} ]", it.concat()));
        prop_oneof![wild, in_string, as_value]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn another_reader_comes_to_the_same_verdict(text in nearly_json()) {
            let other = serde_json::from_str::<&RawValue>(&text);
            prop_assert_eq!(is_read(text.as_bytes()), other.is_ok(), "{:?}", other);
        }
    }
}
