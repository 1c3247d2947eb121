//! JSON with comments, and entries with a comma between them: what a text has that is pasted into YAML.

use super::super::problem::Finding;
use super::super::tree::{Kind, Node, Span};
use super::super::yaml;

/// Reads a text that is no YAML for the comments and commas in it; `None` if it is none without them either.
///
/// Outside braces `//` and `/* */` are taken for comments only where no value can be.
pub(in super::super) fn relaxed(text: &str, notes: &mut Vec<Finding>) -> Option<Node> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, depth: 0, blanks: Vec::new() };
    scan.run();
    if scan.blanks.is_empty() {
        return None;
    }
    let mut blanked = text.as_bytes().to_vec();
    for blank in &scan.blanks {
        for byte in blanked.iter_mut().take(blank.end).skip(blank.start).filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
    let root = yaml::parse(&String::from_utf8(blanked).ok()?).ok()?;
    notes.extend(scan.blanks.iter().map(|blank| blank.note(text)));
    Some(root)
}

/// Whether a text that is YAML too was meant as JSON with comments: YAML takes a comment before a key for a part of it.
pub(in super::super) fn has_comments(node: &Node) -> bool {
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().any(|entry| begins_comment(&entry.key) || has_comments(&entry.value))
        }
        Kind::List(items) => items.iter().any(has_comments),
        Kind::Scalar(_, spelled) => {
            let before =
                spelled.split_once(" //").or_else(|| spelled.split_once(" /*")).map(|(before, _)| before);
            let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
            (begins_comment(spelled) && spelled.contains(['"', '\n'])) || before.is_some_and(is_json)
        }
    }
}

fn begins_comment(text: &str) -> bool {
    text.starts_with("//") || text.starts_with("/*")
}

/// A part of the text to be passed over.
struct Blank {
    start: usize,
    end: usize,
    is_comma: bool,
}

impl Blank {
    fn note(&self, text: &str) -> Finding {
        let before = text.get(..self.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let span = Span {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            start: self.start,
            end: self.end,
        };
        let message = match self.is_comma {
            true => "the comma between two entries is passed over",
            false => "the comment is passed over: YAML's begin with `#`",
        };
        Finding::new(span, message)
    }
}

/// One pass over the text, as far as quotes, braces and comments go.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Braces and brackets that are open.
    depth: usize,
    blanks: Vec<Blank>,
}

impl Scan<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'#' if self.is_after_space() => self.at = self.line_end(),
                b'"' | b'\'' if self.begins_value() => self.skip_quoted(*byte),
                b'{' | b'[' if self.begins_value() => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b'/' if self.may_comment() => self.comment(),
                b',' if self.depth == 0 => self.comma(),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn before(&self) -> Option<u8> {
        self.bytes.get(self.at.checked_sub(1)?).copied()
    }

    fn is_after_space(&self) -> bool {
        self.before().is_none_or(|byte| byte.is_ascii_whitespace())
    }

    fn begins_value(&self) -> bool {
        self.is_after_space() || self.before().is_some_and(|byte| b"[{,:".contains(&byte))
    }

    /// Outside braces only at the beginning of a line and behind the end of an entry.
    fn may_comment(&self) -> bool {
        if self.depth > 0 {
            return self.begins_value() || self.before().is_some_and(|byte| b"}]\"".contains(&byte));
        }
        let line = self.bytes.get(..self.at).unwrap_or_default().rsplit(|byte| *byte == b'\n').next();
        let last = line.unwrap_or_default().trim_ascii_end().last();
        last.is_none_or(|byte| b"}],".contains(byte))
    }

    fn line_end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    /// Ends at the closing quote.
    fn skip_quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' if quote == b'"' => self.at += 1,
                byte if *byte == quote => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Ends at the last byte of the comment, if there is one.
    fn comment(&mut self) {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let end = match rest.get(1) {
            Some(b'/') => self.line_end(),
            Some(b'*') => match rest.windows(2).skip(2).position(|pair| pair == b"*/") {
                Some(at) => start + at + 4,
                None => return,
            },
            _ => return,
        };
        self.blanks.push(Blank { start, end, is_comma: false });
        self.at = end - 1;
    }

    /// A comma behind a closed brace at the end of a line.
    fn comma(&mut self) {
        let line = self.bytes.get(self.at + 1..self.line_end()).unwrap_or_default();
        let follows = String::from_utf8_lossy(line);
        let ends_line = follows.trim().is_empty() || follows.trim_start().starts_with(['#', '/']);
        if ends_line && matches!(self.before(), Some(b'}' | b']')) {
            self.blanks.push(Blank { start: self.at, end: self.at + 1, is_comma: true });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(serde_json::Value, Vec<usize>)> {
        let is_sound = yaml::parse(text).is_ok_and(|root| !has_comments(&root));
        assert!(!is_sound, "{text}");
        let mut notes = Vec::new();
        let root = relaxed(text, &mut notes)?;
        Some((root.to_value(), notes.iter().map(|note| note.span.line).collect()))
    }

    #[test]
    fn comments_and_commas_of_pasted_json_are_passed_over() {
        let text = "{\n  // one\n  \"a\": \"x // y\", /* two\n lines */ \"b\": 1, // three\n}";
        let (value, lines) = read(text).unwrap();
        assert_eq!(value, serde_json::json!({"a": "x // y", "b": 1}));
        assert_eq!(lines, [2, 3, 4]);
        let text = "// first\n{\"a\": 1} // last";
        assert_eq!(read(text).unwrap(), (serde_json::json!({"a": 1}), vec![1, 2]));
        let text = "backends:\n  \"a\": {\n    \"url\": \"http://x\" // it's {\n  },\n  \"b\": {}\n";
        let (value, lines) = read(text).unwrap();
        assert_eq!(value, serde_json::json!({"backends": {"a": {"url": "http://x"}, "b": {}}}));
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn slashes_in_values_are_no_comments() {
        for text in ["a: //b", "{a: //b, c: x // y}", "[//server/share, a]", "a: \"1 // b\"", "a: 1 # // b"] {
            assert!(!has_comments(&yaml::parse(text).unwrap()), "{text}");
        }
        for text in ["{ // a\n \"b\": 1 }", "{ \"b\": 60 // c\n }", "[ \"a\", // c\n \"b\" ]"] {
            assert!(has_comments(&yaml::parse(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_yaml_for_another_reason_stays_none() {
        assert!(read("a: {b").is_none());
        assert!(read("// a\nb: [").is_none());
        assert!(read("a: b: c // d").is_none());
        assert!(read("{ /* a").is_none());
    }
}
