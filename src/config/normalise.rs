//! Which spellings mean the same? Brings a tree to one form before it is checked.

use std::collections::HashMap;

use serde_json::Value;

use super::place;
use super::problem::Finding;
use super::tree::{Kind, Node};

/// The key under which `.mcp.json` has its backends.
const ALIAS: &str = "mcpServers";
/// A file cut short by a full disk must not look like a wish for no backends.
pub(crate) const WITHOUT_BACKENDS: &str = "write `backends: {}` for a gateway without any";
/// Keys of a backend whose values are text even when they look like numbers.
const TEXTS: [&str; 3] = ["args", "env", "headers"];

/// Reports keys given more than once, anywhere.
pub(crate) fn repeated_keys(root: &Node, findings: &mut Vec<Finding>) {
    repeated_in(root, &mut Vec::new(), findings);
}

fn repeated_in(node: &Node, path: &mut Vec<String>, findings: &mut Vec<Finding>) {
    let mut seen = HashMap::new();
    for entry in node.entries() {
        path.push(entry.key.clone());
        if let Some(first) = seen.get(entry.key.as_str()) {
            let message = format!("{} is given twice", place::name(path));
            let suggestion = format!("line {first} has the first");
            findings.push(Finding::new(entry.span, message).suggest(suggestion));
        }
        seen.entry(entry.key.as_str()).or_insert(entry.span.line);
        repeated_in(&entry.value, path, findings);
        path.pop();
    }
    for (index, item) in node.items().iter().enumerate() {
        path.push(index.to_string());
        repeated_in(item, path, findings);
        path.pop();
    }
}

/// Renames `mcpServers` and leaves out sections without a value.
pub(crate) fn sections(root: &mut Node, findings: &mut Vec<Finding>) {
    let backends_at = root.entry("backends").map(|entry| entry.span);
    let Kind::Map(entries) = &mut root.kind else {
        return;
    };
    for entry in entries.iter_mut().filter(|entry| entry.key == ALIAS) {
        match backends_at {
            Some(other) => findings.push(
                Finding::new(entry.span, "both `backends` and `mcpServers` are given")
                    .suggest(format!("move its entries to `backends` in line {}", other.line)),
            ),
            None => entry.key = "backends".to_owned(),
        }
    }
    entries.retain(|entry| !entry.value.is_null() || entry.key == "backends");
    let backends = entries.iter_mut().find(|entry| entry.key == "backends");
    if let Some(entry) = backends.filter(|entry| entry.value.is_null()) {
        let message = "`backends` is empty";
        findings.push(Finding::new(entry.span, message).suggest(WITHOUT_BACKENDS));
        entry.value.kind = Kind::Map(Vec::new());
    }
}

/// Leaves out backends that say `disabled: true`.
pub(crate) fn disabled(root: &mut Node) {
    if let Some(Kind::Map(backends)) = root.get_mut("backends").map(|node| &mut node.kind) {
        backends.retain(|entry| !entry.value.get("disabled").is_some_and(Node::is_true));
    }
}

/// Makes text of `args`, `env` and `headers`: `PORT: 8080` is what anyone would write.
pub(crate) fn texts(root: &mut Node) {
    for_each_backend(root, |backend| {
        for key in TEXTS {
            if let Some(node) = backend.get_mut(key) {
                spell_out_entries(node);
            }
        }
    });
}

fn spell_out_entries(node: &mut Node) {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().for_each(|e| spell_out(&mut e.value)),
        Kind::List(items) => items.iter_mut().for_each(spell_out),
        Kind::Scalar(..) => {}
    }
}

fn spell_out(node: &mut Node) {
    if let Kind::Scalar(value @ (Value::Number(_) | Value::Bool(_)), text) = &mut node.kind {
        *value = Value::String(text.clone());
    }
}

/// Gives every backend what `defaults` has and it lacks.
pub(crate) fn apply_defaults(root: &mut Node) {
    if let Some(defaults) = root.get("defaults").cloned() {
        for_each_backend(root, |backend| backend.merge_under(&defaults));
    }
}

fn for_each_backend(root: &mut Node, mut action: impl FnMut(&mut Node)) {
    if let Some(Kind::Map(backends)) = root.get_mut("backends").map(|node| &mut node.kind) {
        for entry in backends {
            action(&mut entry.value);
        }
    }
}
