//! Where does a string end, and what does it spell?

use std::borrow::Cow;
use std::cmp::Ordering;

/// Steps of eight characters before the rest of a string is searched as a long one.
const SHORT: usize = 4;

/// Where the string ends whose first character is at `start`.
pub(in crate::protocol) fn closing_quote(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at = next_quote(text, at)?;
        if at == start || text[at - 1] != b'\\' {
            return Some(at);
        }
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
        let found = marked(*word, b'"');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + memchr::memchr(b'"', text.get(at..)?)?)
}

/// Marks the first of eight bytes that is `sought`; nothing before it is marked.
fn marked(word: [u8; 8], sought: u8) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zero_where_found = u64::from_le_bytes(word) ^ u64::from_ne_bytes([sought; 8]);
    zero_where_found.wrapping_sub(ONES) & !zero_where_found & (ONES << 7)
}

/// The string that `raw` spells; `None` if it spells something else.
pub(in crate::protocol) fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    match unescaped(raw)? {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// Its bytes, for who only compares them.
pub(in crate::protocol) fn unescaped(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = inner(raw)?;
    if has_escape(inner) {
        return serde_json::from_slice::<String>(raw).ok().map(|text| Cow::Owned(text.into_bytes()));
    }
    Some(Cow::Borrowed(inner))
}

/// What stands between a string's quotes.
fn inner(raw: &[u8]) -> Option<&[u8]> {
    raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whether `raw`, a string with its quotes, spells `text`.
pub(super) fn spells(raw: &[u8], text: &str) -> bool {
    let (Some(inner), text) = (inner(raw), text.as_bytes()) else { return false };
    // An escape is longer than what it stands for, and where the first letter is none, it is the text's.
    match inner.len().cmp(&text.len()) {
        Ordering::Less => false,
        Ordering::Equal => inner == text && !has_escape(text),
        Ordering::Greater => {
            (inner.starts_with(b"\\") || inner.first() == text.first())
                && has_escape(inner)
                && unescaped(raw).is_some_and(|own| *own == *text)
        }
    }
}

pub(super) fn has_escape(text: &[u8]) -> bool {
    // Keys are over before a vectorised search has begun.
    let (words, rest) = text.as_chunks();
    if words.len() > SHORT {
        return memchr::memchr(b'\\', text).is_some();
    }
    words.iter().any(|word| marked(*word, b'\\') != 0) || rest.contains(&b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let text = format!(r#"{padded}","b":1}}"#);
            assert_eq!(closing_quote(text.as_bytes(), 0), Some(padded.len()));
        }
        assert_eq!(closing_quote(br#"never\""#, 0), None);
    }
}
