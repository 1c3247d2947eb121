//! Refuses JSON that is nested so deep that a recursive reader behind us would fall over.

use super::json::closing_quote;

/// Deepest nesting of arrays and objects that is let through.
pub const MAX_DEPTH: usize = 64;

/// Whether the nesting of `text` stays within [`MAX_DEPTH`].
///
/// Raw values skip the JSON parser's own recursion limit, so depth is counted before parsing. Strings
/// are skipped; text that is not JSON is judged by its brackets and refused later by the parser.
pub fn scan(text: &[u8]) -> bool {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = closing_quote(text, at + 1).unwrap_or(text.len()),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_levels_pass_and_one_more_does_not() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(scan(nested(MAX_DEPTH).as_bytes()));
        assert!(!scan(nested(MAX_DEPTH + 1).as_bytes()));
        assert!(!scan("[".repeat(200_000).as_bytes()));
    }

    #[test]
    fn brackets_inside_strings_do_not_count() {
        let text = format!(r#"{{"a":"{}\"[","b":1}}"#, "[".repeat(500));
        assert!(scan(text.as_bytes()));
    }

    #[test]
    fn an_unclosed_string_ends_the_scan() {
        assert!(scan(br#"{"a":"\"#));
        assert!(scan(br#"{"a":""#));
    }
}
