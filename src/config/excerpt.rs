//! What of the file may a message show? The line in question, with secrets masked.

use std::ops::Range;

use super::problem::{Excerpt, Finding, Problem};
use super::secrets;
use super::tree::{Node, Span};

/// Stands for a masked value.
const MASK: &str = "***";
/// Longest line shown whole, in characters.
const MAX_WIDTH: usize = 160;

/// The text of a file and which parts of it must not be shown.
pub(crate) struct Text<'a> {
    text: &'a str,
    secrets: Vec<Range<usize>>,
}

impl<'a> Text<'a> {
    /// Text of which `root` was read.
    pub(crate) fn new(text: &'a str, root: &Node) -> Self {
        let secrets = secrets::of(root, text);
        Self { text, secrets }
    }

    /// Text that could not be read, so that what is secret in it has to be guessed.
    pub(crate) fn unread(text: &'a str) -> Self {
        let secrets = secrets::guess(text);
        Self { text, secrets }
    }

    /// Findings in the order of the file, each once, with the line it is about.
    pub(crate) fn problems(&self, mut findings: Vec<Finding>) -> Vec<Problem> {
        findings.sort_by_key(|finding| finding.span);
        findings.dedup();
        findings.into_iter().map(|finding| self.problem(finding)).collect()
    }

    fn problem(&self, finding: Finding) -> Problem {
        Problem {
            line: finding.span.line,
            column: finding.span.column,
            message: finding.message,
            excerpt: self.excerpt(finding.span),
            suggestion: finding.suggestion,
        }
    }

    fn excerpt(&self, span: Span) -> Option<Excerpt> {
        let line = self.line(span.line)?;
        let column = span.column.saturating_sub(1);
        let part = self.text.get(line.clone())?.char_indices().nth(column);
        let start = part.map_or(line.end, |(at, _)| line.start + at);
        let length = span.end.saturating_sub(span.start);
        let end = self.boundary((start + length).min(line.end).max(start));
        let before = self.masked(line.start..start);
        let inside = self.masked(start..end);
        let (offset, width) = (before.chars().count(), inside.chars().count().max(1));
        let text = before + &inside + &self.masked(end..line.end);
        let text: String = text.chars().take(MAX_WIDTH.max(offset + width)).collect();
        Some(Excerpt { text: text.replace(char::is_control, " ").replace("******", MASK), offset, width })
    }

    /// The bytes of a line, counted from 1, without white space at its end.
    fn line(&self, number: usize) -> Option<Range<usize>> {
        let mut lines = self.text.split('\n');
        let before = lines.by_ref().take(number.checked_sub(1)?);
        let start: usize = before.map(|line| line.len() + 1).sum();
        Some(start..start + lines.next()?.trim_end().len())
    }

    fn boundary(&self, mut at: usize) -> usize {
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// The text in `range` with secrets masked.
    fn masked(&self, range: Range<usize>) -> String {
        let slice = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let mut out = String::new();
        let mut at = range.start;
        for secret in &self.secrets {
            let (from, to) = (secret.start.max(at), secret.end.min(range.end));
            if from < to {
                out.push_str(slice(at, from));
                out.push_str(&references_only(slice(from, to)));
                at = to;
            }
        }
        out.push_str(slice(at, range.end));
        out
    }
}

/// Masks everything but references without a default: those say where a secret is, not what.
fn references_only(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, reference, after)) = next_reference(rest) {
        if !before.is_empty() {
            out.push_str(MASK);
        }
        out.push_str(reference);
        rest = after;
    }
    if !rest.is_empty() {
        out.push_str(MASK);
    }
    out
}

fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")?;
        let end = start + text[start..].find('}')? + 1;
        let name = &text[start + 2..end - 1];
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.starts_with("file:") || name.chars().all(plain) {
            return Some((&text[..start], &text[start..end], &text[end..]));
        }
        from = start + 2;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn shown(text: &str, column: usize) -> String {
        let root = yaml::parse(text).unwrap();
        let span = Span { line: 1, column, ..Span::default() };
        Text::new(text, &root).excerpt(span).unwrap().text
    }

    #[test]
    fn a_reference_is_shown_and_what_stands_around_it_is_not() {
        assert_eq!(
            shown(r#"headers: {A: "Bearer ${T} x", B: "${T:-hidden}"}"#, 1),
            r#"headers: {A: "***${T}***", B: "***"}"#
        );
    }

    #[test]
    fn secrets_in_urls_and_arguments_are_masked() {
        assert_eq!(shown("url: http://me:pw@host/mcp", 1), "url: http://***");
        assert_eq!(shown("url: http://host/mcp?key=1", 1), "url: http://host/mcp***");
        assert_eq!(
            shown("args: [--token, abc, --api-key=abc, --port, 80]", 1),
            "args: [--token, ***, --api-key=***, --port, 80]"
        );
    }

    #[test]
    fn the_marks_stand_under_the_part_in_question_though_secrets_before_it_are_masked() {
        let text = "env: {A: much longer than its mask, B: [1]}";
        let root = yaml::parse(text).unwrap();
        let column = text.find("B:").unwrap();
        let span = Span { line: 1, column: column + 1, start: column, end: column + 1 };
        let excerpt = Text::new(text, &root).excerpt(span).unwrap();
        assert_eq!(excerpt.text, "env: {A: ***, B: [***]}");
        assert_eq!(&excerpt.text[excerpt.offset..=excerpt.offset], "B");
        assert_eq!(excerpt.width, 1);
    }
}
