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

/// The string that `raw` spells; `None` if it spells something else.
pub(in crate::protocol) fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = inner(raw)?;
    if has_escape(inner) {
        return serde_json::from_slice::<String>(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// What stands between a string's quotes.
fn inner(raw: &[u8]) -> Option<&[u8]> {
    raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whether `raw`, a string with its quotes, spells `text`.
pub(super) fn spells(raw: &[u8], text: &str) -> bool {
    // An escape is longer than what it stands for.
    match raw.len().saturating_sub(2).cmp(&text.len()) {
        Ordering::Less => false,
        Ordering::Equal => inner(raw) == Some(text.as_bytes()) && !has_escape(raw),
        Ordering::Greater => has_escape(raw) && text_of(raw).is_some_and(|own| own == text),
    }
}

pub(super) fn has_escape(text: &[u8]) -> bool {
    memchr::memchr(b'\\', text).is_some()
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
