//! How large is a JSON value, level by level?
//!
//! Read off the text in one pass, before anything is built of it: what a text of 4 MiB becomes in memory may be thirty
//! times as large.

/// Levels that are told apart; texts nested deeper are refused before they come here.
pub(super) const LEVELS: usize = 65;

/// Bytes of a string that count as one more value: patterns and formats read all of it.
const STRING_STEP: usize = 32;

/// Memory of a value, and of an object with its first members.
const VALUE_BYTES: u64 = 72;
const OBJECT_BYTES: u64 = 640;

/// The weight of each level, and the memory that the value takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueShape {
    weights: [u64; LEVELS],
    pub(super) bytes: u64,
}

impl ValueShape {
    /// Of a text that is known to be JSON.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut shape = Self { weights: [0; LEVELS], bytes: 0 };
        let (mut at, mut level) = (0, 0usize);
        while let Some(byte) = text.get(at) {
            let mut length = 1;
            match byte {
                b'{' | b'[' => {
                    shape.count(level, 0, if *byte == b'{' { OBJECT_BYTES } else { VALUE_BYTES });
                    level += 1;
                }
                b'}' | b']' => level = level.saturating_sub(1),
                b'"' => {
                    length = string_length(&text[at..]);
                    shape.count(level, length, VALUE_BYTES);
                }
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
                    length = text[at..].iter().position(ends).unwrap_or(text.len() - at);
                    shape.count(level, length, VALUE_BYTES);
                }
                _ => {}
            }
            at += length;
        }
        shape
    }

    fn count(&mut self, level: usize, length: usize, bytes: u64) {
        self.weights[level.min(LEVELS - 1)] += 1 + (length / STRING_STEP) as u64;
        self.bytes += bytes + length as u64;
    }

    /// Most work to check the value, where each value of a level costs what `load` says of that level.
    pub(super) fn work(&self, load: &[u64]) -> u64 {
        let each = self.weights.iter().zip(load).map(|(weight, load)| weight.saturating_mul(*load));
        each.fold(0, u64::saturating_add)
    }

    /// The same for a value as deep as this one that has one value at each level.
    pub(super) fn least_work(&self, load: &[u64]) -> u64 {
        let deep = self.weights.iter().take_while(|weight| **weight > 0).count();
        load.iter().take(deep).fold(0, |sum, load| sum.saturating_add(*load))
    }
}

/// The length of the string that `text` begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        match text[at] {
            b'"' => return at + 1,
            _ => at += 2,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_count_on_the_level_they_stand_on() {
        let shape = ValueShape::of(br#" { "a" : [ 1, -2.5e3 , true ], "b\"]": {"c": null} } "#);
        assert_eq!(shape.weights[..4], [1, 4, 5, 0]);
        assert_eq!(shape.work(&[10, 1]), 14);
        assert_eq!(shape.least_work(&[10, 1, 5, 9]), 16);
        assert_eq!(ValueShape::of(b"17").weights[..2], [1, 0]);
    }

    #[test]
    fn long_strings_count_by_their_length_and_small_objects_by_their_memory() {
        let long = format!("\"{}\"", "x".repeat(3_200));
        assert_eq!(ValueShape::of(long.as_bytes()).weights[0], 101);
        let many = format!("[{}]", vec!["{}"; 1_000].join(","));
        assert!(ValueShape::of(many.as_bytes()).bytes > 600_000);
    }
}
