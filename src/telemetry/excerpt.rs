//! How is text of a foreign party shown in a log line?

/// Most characters that are shown.
const MAX_CHARACTERS: usize = 120;

/// The beginning of `text`, on one line and with everything escaped that a terminal or a reader could take for
/// something else: control characters, bidirectional overrides, what is not UTF-8.
pub fn excerpt(text: &[u8]) -> String {
    // A character has four bytes at most; what is cut in two at the end is beyond what is shown.
    let shown = String::from_utf8_lossy(&text[..text.len().min(4 * MAX_CHARACTERS + 4)]);
    let mut characters = shown.trim_end_matches(['\r', '\n']).chars();
    let mut excerpt = String::new();
    for character in characters.by_ref().take(MAX_CHARACTERS) {
        match character {
            ' '..='~' => excerpt.push(character),
            other => excerpt.extend(other.escape_debug()),
        }
    }
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_excerpt_acts_on_a_terminal() {
        assert_eq!(excerpt(b"Starting \"server\"...\r\n"), "Starting \"server\"...");
        assert_eq!(excerpt("\u{1b}[2J\tn\u{e9}\u{202e}x\0".as_bytes()), "\\u{1b}[2J\\tné\\u{202e}x\\0");
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn an_excerpt_is_bounded() {
        let long = excerpt("\u{1f600}".repeat(100_000).as_bytes());
        assert_eq!(long.chars().count(), MAX_CHARACTERS + 1);
        assert!(excerpt(&[0; 100_000]).len() < 10 * MAX_CHARACTERS);
    }
}
