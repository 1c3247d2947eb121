//! Can every name be told from every other?

use std::collections::BTreeMap;

use globset::Glob;

use super::super::problem::Finding;
use super::super::tree::{Entry, Node};
use super::{is_literal, known, of, text};

/// Longest name of a backend, and longest prefix, in characters.
const LONGEST_NAME: usize = 32;
/// Longest name of a client, in characters.
const LONGEST_CLIENT: usize = 128;
/// Longest name of a tool (MCP 2025-11-25, server/tools), in characters.
const LONGEST_TOOL: usize = 128;

pub(super) fn check(backends: &[Entry], findings: &mut Vec<Finding>) {
    same_prefixes(backends, findings);
    for backend in backends {
        findings.extend(legal_name(backend));
        findings.extend(legal_prefix(backend));
        for key in ["expose", "hide"] {
            let globs = backend.value.get(key).map(Node::items).unwrap_or_default();
            findings.extend(globs.iter().filter_map(|glob| bad_glob(key, glob, backend)));
        }
        let tools = backend.value.get("tools").map(Node::entries).unwrap_or_default();
        findings.extend(tools.iter().filter_map(|tool| bad_tool(tool, backend)));
        renames(backend, findings);
    }
}

fn legal_name(backend: &Entry) -> Option<Finding> {
    let name = &backend.key;
    if is_name(name, LONGEST_NAME, "_-") {
        return None;
    }
    let message = format!("`{name}` cannot be the name of a backend");
    let suggestion = format!("1 to {LONGEST_NAME} letters, digits, `_` and `-`{}", legal_form(name));
    Some(Finding::new(backend.span, message).suggest(suggestion))
}

/// Names of clients appear in logs, in sealed ids and beside what is kept for them.
pub(super) fn check_clients(root: &Node, findings: &mut Vec<Finding>) {
    let clients = root.get("clients").map(Node::entries).unwrap_or_default();
    findings.extend(clients.iter().filter_map(legal_client));
}

fn legal_client(client: &Entry) -> Option<Finding> {
    let name = &client.key;
    let length = name.chars().count();
    let is_legal = (1..=LONGEST_CLIENT).contains(&length)
        && name.trim().len() == name.len()
        && !name.chars().any(is_invisible);
    if is_legal {
        return None;
    }
    let message = match length > LONGEST_CLIENT {
        true => format!("the name of a client has {length} characters"),
        false => format!("`{}` cannot be the name of a client", name.escape_debug()),
    };
    let suggestion = format!(
        "1 to {LONGEST_CLIENT} characters, no blank at either end, no line ends and no control or invisible characters"
    );
    Some(Finding::new(client.span, message).suggest(suggestion))
}

/// Control characters, line ends, and what changes the direction of text or has no width.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The legal name most like `name`, as a proposal.
fn legal_form(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.trim().chars().map(legal).take(LONGEST_NAME).collect();
    match name.trim_matches('_') {
        "" => String::new(),
        name => format!(", such as `{name}`"),
    }
}

fn legal_prefix(backend: &Entry) -> Option<Finding> {
    let (node, prefix) = text(&backend.value, "prefix")?;
    if prefix.is_empty() || is_name(prefix, LONGEST_NAME, "_-") {
        return None;
    }
    let message = format!("{} cannot be part of a tool's name", of("prefix", backend));
    let suggestion = format!("up to {LONGEST_NAME} letters, digits, `_` and `-`");
    Some(Finding::new(node.span, message).suggest(suggestion))
}

fn is_name(name: &str, longest: usize, punctuation: &str) -> bool {
    (1..=longest).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || punctuation.contains(c))
}

fn same_prefixes(backends: &[Entry], findings: &mut Vec<Finding>) {
    let mut owners: BTreeMap<&str, &Entry> = BTreeMap::new();
    for backend in backends {
        let own = text(&backend.value, "prefix");
        let (span, prefix) =
            own.map_or((backend.span, backend.key.as_str()), |(node, prefix)| (node.span, prefix));
        if prefix.is_empty() {
            continue;
        }
        let owner = *owners.entry(prefix).or_insert(backend);
        if owner.key != backend.key {
            let message = format!("backends `{}` and `{}` have the same prefix", owner.key, backend.key);
            findings.push(Finding::new(span, message).suggest("give one of them another `prefix`"));
        }
    }
}

fn bad_glob(key: &str, glob: &Node, backend: &Entry) -> Option<Finding> {
    let error = Glob::new(known(glob)?).err()?;
    let reason = if is_literal(glob) { format!(": {}", error.kind()) } else { String::new() };
    let message = format!("bad pattern in {}{reason}", of(key, backend));
    Some(Finding::new(glob.span, message))
}

fn bad_tool(tool: &Entry, backend: &Entry) -> Option<Finding> {
    let error = Glob::new(&tool.key).err()?;
    let message = format!("bad pattern in {}: {}", of("tools", backend), error.kind());
    Some(Finding::new(tool.span, message))
}

fn renames(backend: &Entry, findings: &mut Vec<Finding>) {
    let renames = backend.value.get("rename").map(Node::entries).unwrap_or_default();
    let mut targets: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in renames {
        let Some(target) = known(&entry.value) else {
            continue;
        };
        if !is_name(target, LONGEST_TOOL, "_-.") {
            let message = format!("{} is not a legal name", of(&format!("rename.{}", entry.key), backend));
            let suggestion = format!("1 to {LONGEST_TOOL} letters, digits, `_`, `-` and `.`");
            findings.push(Finding::new(entry.value.span, message).suggest(suggestion));
        }
        if let Some(other) = targets.insert(target, &entry.key) {
            let message = format!(
                "`{other}` and `{}` of backend `{}` are renamed to the same name",
                entry.key, backend.key
            );
            findings.push(Finding::new(entry.value.span, message));
        }
    }
}
