//! Finds JSON among other text: a server may print what is no message before, after or between messages, in a body too,
//! and a message may take several lines.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::guard;

/// Places that look like the beginning of a message and are none; each may cost as much as the whole text.
const MAX_FALSE_STARTS: usize = 16;
/// Texts that are taken from one body. A server that answers one request sends a few.
const MAX_TEXTS: usize = 10_000;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The objects and arrays in a text that is no JSON as a whole. Each begins a line, or stands right behind another.
pub(super) fn json_texts(text: &Bytes) -> Vec<Bytes> {
    let (mut at, mut false_starts, mut texts) = (0, 0, Vec::new());
    while let Some(start) = line_with_json(text, at) {
        if texts.len() == MAX_TEXTS {
            break;
        }
        match value_at(&text[start..]) {
            Some(length) => {
                texts.push(text.slice(start..start + length));
                at = start + length;
            }
            None if false_starts == MAX_FALSE_STARTS => break,
            None => {
                false_starts += 1;
                at = next_line(text, start);
            }
        }
    }
    texts
}

/// Where the next line begins, from `at` on, that an object or an array begins.
fn line_with_json(text: &[u8], mut at: usize) -> Option<usize> {
    while at < text.len() {
        let rest = &text[at..];
        let skipped = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let marked = if rest[skipped..].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let start = at + skipped + marked;
        match text.get(start) {
            Some(b'{' | b'[') => return Some(start),
            Some(_) => at = next_line(text, start),
            None => return None,
        }
    }
    None
}

fn next_line(text: &[u8], at: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &text[at..]).map_or(text.len(), |end| at + end + 1)
}

/// The length of the JSON value that begins the text.
///
/// Only the value itself is looked at, however much follows it: a body may hold very many. A raw value is read without
/// recursion, so its depth can be checked afterwards.
fn value_at(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    guard::scan(value.as_bytes()).then_some(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        json_texts(&text).into_iter().map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    #[test]
    fn texts_are_found_before_after_and_between_what_is_none() {
        let (one, two) = (r#"{"n":1}"#, "{\n  \"n\": [\n    2\n  ]\n}");
        assert_eq!(found(&format!("\u{feff}{one}")), [one]);
        let noisy = format!("Warning: {{x}}\n{one}\r\n{{oops\n\n{two}\n<!-- bye -->");
        assert_eq!(found(&noisy), [one, two]);
        assert_eq!(found(&format!("{one}{two}")), [one, two]);
        assert_eq!(found("no message\n17\n"), [""; 0]);
    }

    #[test]
    fn very_many_texts_take_one_pass_and_are_bounded() {
        // With a pass over the rest for each of them this would take hours.
        let many = Bytes::from("{}\n".repeat(5 << 20));
        assert_eq!(json_texts(&many).len(), MAX_TEXTS);
    }

    #[test]
    fn what_is_nested_too_deep_is_no_message() {
        let deep = format!("x\n{}{}\n{{\"n\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(found(&deep), [r#"{"n":1}"#]);
    }

    #[test]
    fn what_only_looks_like_messages_costs_a_bounded_number_of_attempts() {
        let one = r#"{"n":1}"#;
        let starts = |count| format!("{}{one}", "{\n".repeat(count));
        assert_eq!(found(&starts(MAX_FALSE_STARTS)), [one]);
        assert_eq!(found(&starts(MAX_FALSE_STARTS + 1)), [""; 0]);
    }
}
