//! How is text of foreign origin shown where a person reads it: on a terminal, in a line of the log?
//!
//! What a backend says can hold sequences that move the cursor, set the clipboard or reverse the reading order, and
//! characters that nobody sees. They are shown as their code, such as `\u{1b}`, and do nothing.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// `text` on one line: line ends are shown as `\n`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen, |letter, out| out.extend(letter.escape_default()))
}

/// `text` with its lines and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    let is_bad = |letter: char| is_unseen(letter) && !matches!(letter, '\n' | '\t');
    escaped(text, is_bad, |letter, out| match letter {
        // Line ends of other systems are none to be shown.
        '\r' => {}
        letter => out.extend(letter.escape_default()),
    })
}

/// JSON text that means the same: what is not seen can only be part of a string.
pub fn json(text: &str) -> Cow<'_, str> {
    let is_bad = |letter: char| is_unseen(letter) && !matches!(letter, '\n' | '\t' | '\r');
    escaped(text, is_bad, |letter, out| {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// A writer that passes on what it is given on one line, shown as [`line()`] does.
#[derive(Debug)]
pub struct OneLine<W>(pub W);

impl<W: fmt::Write> fmt::Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&line(text))
    }
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match is_bad(letter) {
            true => escape(letter, &mut out),
            false => out.push(letter),
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal would act on `letter` or show nothing: controls, marks of direction, characters without width.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\x1b]0;x\x07\u{9b}2J\u{202e}b\u{200b}\u{e0041}\r\nc\td";

    #[test]
    fn what_a_terminal_would_act_on_is_shown_as_its_code() {
        let shown = r"a\u{1b}]0;x\u{7}\u{9b}2J\u{202e}b\u{200b}\u{e0041}";
        assert_eq!(line(EVIL), format!(r"{shown}\r\nc\td"));
        assert_eq!(lines(EVIL), format!("{shown}\nc\td"));
        assert!(matches!(line("plain – ünï ❤️ 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_means_the_same_and_is_seen() {
        let text = serde_json::json!({ "a": EVIL }).to_string();
        let shown = json(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), serde_json::from_str(&text).ok());
        assert!(!shown.contains(is_unseen));
        assert_eq!(json("{\n}"), "{\n}");
    }

    #[test]
    fn a_writer_escapes_what_passes_through_it() {
        let mut out = OneLine(String::new());
        assert!(out.write_str("a\n\x1b").is_ok());
        assert_eq!(out.0, r"a\n\u{1b}");
    }
}
