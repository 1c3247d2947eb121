//! Which parts of a file are secrets, and so never shown?

use std::ops::Range;

use serde_json::Value;

use super::tree::{Kind, Node};

/// Sections whose values are secrets.
const SECTIONS: [&str; 4] = ["env", "headers", "clients", "sealing_keys"];
/// Parts of keys and of options whose values are secrets wherever they stand.
const WORDS: [&str; 8] =
    ["token", "secret", "private_key", "password", "authorization", "apikey", "api_key", "api-key"];

/// Whether the values under `key` are secrets.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECTIONS.contains(&key.as_str()) || WORDS.iter().any(|word| key.contains(word))
}

/// The byte ranges of the secrets in `text`, of which `root` was read.
pub(crate) fn of(root: &Node, text: &str) -> Vec<Range<usize>> {
    let mut found = Found { text, ranges: Vec::new() };
    found.walk(root, false);
    found.ranges.sort_by_key(|range| range.start);
    found.ranges
}

struct Found<'a> {
    text: &'a str,
    ranges: Vec<Range<usize>>,
}

impl Found<'_> {
    fn walk(&mut self, node: &Node, secret: bool) {
        match &node.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    self.walk(&entry.value, secret || is_secret(&entry.key));
                }
            }
            Kind::List(items) => self.list(items, secret),
            Kind::Scalar(Value::Null, _) => {}
            Kind::Scalar(_, spelled) => {
                let hidden = if secret { Some(0) } else { secret_part(spelled) };
                self.hide(node, hidden);
            }
        }
    }

    /// An item such as `--token` makes a secret of the next.
    fn list(&mut self, items: &[Node], secret: bool) {
        let mut announced = false;
        for item in items {
            self.walk(item, secret || announced);
            announced = item
                .text()
                .is_some_and(|text| text.starts_with('-') && !text.contains('=') && is_secret(text));
        }
    }

    /// Hides `node` from its byte `from` on, but for the quotes around it.
    fn hide(&mut self, node: &Node, from: Option<usize>) {
        let Some(from) = from else { return };
        let (start, end) = (node.span.start, node.span.end);
        let spelled = self.text.get(start..end).unwrap_or_default();
        let quoted = spelled.len() >= 2 && spelled.starts_with(['"', '\'']);
        let quote = usize::from(quoted);
        self.ranges.push((start + from.max(quote)).min(end - quote)..end - quote);
    }
}

/// Where the secret part of a text outside the secret sections begins: a URL's credentials or
/// query, an option's value.
fn secret_part(text: &str) -> Option<usize> {
    if let Some(at) = text.find("://") {
        let query = text.find('?');
        let authority = at + 3;
        let credentials = text[authority..].contains('@').then_some(authority);
        return credentials.or(query);
    }
    let (option, _) = text.split_once('=')?;
    is_secret(option).then_some(option.len() + 1)
}

/// The byte ranges that may be secrets in text that could not be read: whatever follows the first
/// colon of a line that mentions one, and of the lines indented under it.
pub(crate) fn guess(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut section: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if section.is_some_and(|outer| indent <= outer && !line.trim().is_empty()) {
            section = None;
        }
        if section.is_none() && mentions_secret(line) {
            section = Some(indent);
        }
        if section.is_some() {
            let value = line.find(':').map_or(indent, |colon| colon + 1);
            let value = value + line[value..].len() - line[value..].trim_start().len();
            ranges.push(start + value..start + line.trim_end().len().max(value));
        }
        start += line.len();
    }
    ranges
}

fn mentions_secret(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let mut words = SECTIONS.iter().chain(&WORDS);
    words.any(|word| line.contains(word)) || line.contains("://")
}
