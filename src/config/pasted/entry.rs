//! How is one pasted entry read? Key by key, where each has one meaning only.

use serde_json::Value;

use super::super::problem::Finding;
use super::super::tree::{Entry, Kind, Node, Origin};
use super::keys::{ALIASES, CLIENT_ONLY, LISTS, transport};
use crate::units;

/// Gives `backend` the keys it has here.
pub(super) fn translate(backend: &mut Entry, findings: &mut Vec<Finding>, notes: &mut Vec<Finding>) {
    let Kind::Map(entries) = &mut backend.value.kind else { return };
    let mut pasted = Pasted { backend: &backend.key, findings, notes };
    for (other, own) in ALIASES {
        pasted.alias(entries, other, own);
    }
    for (other, own) in LISTS {
        pasted.list(entries, other, own);
    }
    pasted.enabled(entries);
    pasted.timeout(entries);
    pasted.command_line(entries);
    pasted.transport(entries);
    pasted.client_only(entries);
}

struct Pasted<'a> {
    backend: &'a str,
    findings: &'a mut Vec<Finding>,
    notes: &'a mut Vec<Finding>,
}

fn position(entries: &[Entry], key: &str) -> Option<usize> {
    entries.iter().position(|entry| entry.key == key)
}

impl Pasted<'_> {
    fn note(&mut self, entry: &Entry, meaning: &str) {
        let message = format!("`{}` of backend `{}` {meaning}", entry.key, self.backend);
        self.notes.push(Finding::new(entry.span, message));
    }

    fn both(&mut self, entry: &Entry, own: &str) {
        let message = format!("both `{}` and `{own}` are given in backend `{}`", entry.key, self.backend);
        self.findings.push(Finding::new(entry.span, message).suggest("leave out one of the two"));
    }

    fn alias(&mut self, entries: &mut Vec<Entry>, other: &str, own: &str) {
        let Some(at) = position(entries, other) else { return };
        if position(entries, own).is_some() {
            let entry = entries.remove(at);
            return self.both(&entry, own);
        }
        let Some(entry) = entries.get_mut(at) else { return };
        self.note(entry, &format!("is read as `{own}`"));
        entry.key = own.to_owned();
    }

    /// `tools` is a list in other files only.
    fn list(&mut self, entries: &mut Vec<Entry>, other: &str, own: &str) {
        let is_list = |entry: &Entry| entry.key == other && matches!(entry.value.kind, Kind::List(_));
        let Some(at) = entries.iter().position(is_list) else { return };
        let mut entry = entries.remove(at);
        self.note(&entry, &format!("is read as `{own}`"));
        match entries.iter_mut().find(|entry| entry.key == own).map(|own| &mut own.value.kind) {
            Some(Kind::List(items)) => {
                if let Kind::List(more) = entry.value.kind {
                    items.extend(more);
                }
            }
            _ => {
                entry.key = own.to_owned();
                entries.push(entry);
            }
        }
    }

    fn enabled(&mut self, entries: &mut Vec<Entry>) {
        let is_switch = |entry: &Entry| {
            entry.key == "enabled" && matches!(entry.value.kind, Kind::Scalar(Value::Bool(_), _))
        };
        let Some(at) = entries.iter().position(is_switch) else { return };
        if position(entries, "disabled").is_some() {
            let entry = entries.remove(at);
            return self.both(&entry, "disabled");
        }
        let mut entry = entries.remove(at);
        let disabled = entry.value.is_false();
        self.note(&entry, if disabled { "is read as `disabled: true`" } else { "is what every backend is" });
        if disabled {
            entry.key = "disabled".to_owned();
            entry.value.kind = Kind::Scalar(Value::Bool(true), "true".to_owned());
            entries.push(entry);
        }
    }

    /// A bare number is seconds to one client and milliseconds to another; text with a unit has one meaning.
    fn timeout(&mut self, entries: &mut Vec<Entry>) {
        let has_unit = |node: &Node| {
            let text = node.text().unwrap_or_default();
            text.ends_with(|last: char| last.is_ascii_alphabetic()) && units::parse_duration(text).is_some()
        };
        let is_timeout = |entry: &Entry| entry.key == "timeout" && has_unit(&entry.value);
        let Some(at) = entries.iter().position(is_timeout) else { return };
        let mut entry = entries.remove(at);
        if position(entries, "timeouts").is_some() {
            return self.both(&entry, "timeouts");
        }
        self.note(&entry, "is read as `timeouts.call`");
        let (span, origin) = (entry.span, Origin::Literal);
        let call = Entry { key: "call".to_owned(), span, value: entry.value.clone() };
        entry.key = "timeouts".to_owned();
        entry.value = Node { kind: Kind::Map(vec![call]), span, origin };
        entries.push(entry);
    }

    /// `command: [npx, -y, server]` is a program and its arguments.
    fn command_line(&mut self, entries: &mut Vec<Entry>) {
        let Some(at) = position(entries, "command") else { return };
        let has_args = position(entries, "args").is_some();
        let Some(entry) = entries.get_mut(at) else { return };
        let Kind::List(words) = &mut entry.value.kind else { return };
        if has_args || words.is_empty() {
            return;
        }
        let args = words.split_off(1);
        let Some(program) = words.pop() else { return };
        self.note(entry, "is read as a program and its `args`");
        let (span, origin) = (entry.span, Origin::Literal);
        entry.value = program;
        let value = Node { kind: Kind::List(args), span, origin };
        entries.push(Entry { key: "args".to_owned(), span, value });
    }

    fn transport(&mut self, entries: &mut [Entry]) {
        let Some(entry) = entries.iter_mut().find(|entry| entry.key == "type") else { return };
        if let Kind::Scalar(Value::String(spelled), _) = &mut entry.value.kind
            && let Some(known) = transport(spelled)
        {
            known.clone_into(spelled);
        }
    }

    fn client_only(&mut self, entries: &mut Vec<Entry>) {
        let why = |entry: &Entry| match entry.key.as_str() {
            // Here it is a map of descriptions by tool.
            "description" if entry.value.text().is_some() => Some("only a client's own window shows it"),
            key => CLIENT_ONLY.iter().find(|(known, _)| *known == key).map(|(_, why)| *why),
        };
        for entry in entries.extract_if(.., |entry| why(entry).is_some()) {
            let meaning = format!("has no effect: {}", why(&entry).unwrap_or_default());
            self.note(&entry, &meaning);
        }
    }
}
