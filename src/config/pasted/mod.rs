//! What do the keys of other clients' files mean here?
//!
//! Entries of `.mcp.json` and of the files of VS Code, Cursor, Windsurf, Cline, Gemini CLI and others are pasted as they
//! are. What has one meaning only is taken, with a note that `check` shows; what may mean two things, or what the
//! gateway cannot do, is answered with what to write.

mod advice;
mod entry;
mod keys;
mod text;

pub(super) use advice::advice;
pub(super) use text::{has_comments, relaxed};

use super::problem::Finding;
use super::tree::{Entry, Kind, Node};

/// Keys under which other clients list their servers, beside `mcpServers`.
const SECTIONS: [&str; 3] = ["servers", "mcp_servers", "context_servers"];
/// Keys at the top of other clients' files that say nothing about a server.
const IGNORED: [&str; 2] = ["$schema", "inputs"];

/// Takes the sections of other clients' files for `backends`.
pub(super) fn sections(root: &mut Node, notes: &mut Vec<Finding>) {
    let has_backends = root.entry("backends").is_some() || root.entry("mcpServers").is_some();
    let Kind::Map(entries) = &mut root.kind else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| SECTIONS.contains(&entry.key.as_str()))
        && !has_backends
    {
        notes.push(Finding::new(entry.span, format!("`{}` is read as `backends`", entry.key)));
        entry.key = "backends".to_owned();
    }
    entries.retain(|entry| {
        let is_ignored = IGNORED.contains(&entry.key.as_str());
        if is_ignored && entry.key == "inputs" {
            let message = "`inputs` has no effect: the gateway asks for nothing";
            notes.push(Finding::new(entry.span, message).suggest("write `${NAME}` for `${input:name}`"));
        }
        !is_ignored
    });
}

/// Gives the entries of `backends` the keys they have here.
pub(super) fn backends(root: &mut Node, findings: &mut Vec<Finding>, notes: &mut Vec<Finding>) {
    let Some(Kind::Map(backends)) = root.get_mut("backends").map(|node| &mut node.kind) else { return };
    unwrap_sections(backends, notes);
    for backend in backends {
        entry::translate(backend, findings, notes);
    }
}

/// A whole file pasted under `backends:` brings its own section along.
fn unwrap_sections(backends: &mut Vec<Entry>, notes: &mut Vec<Finding>) {
    let is_section = |entry: &Entry| {
        let servers = entry.value.entries();
        (entry.key == "mcpServers" || SECTIONS.contains(&entry.key.as_str()))
            && !servers.is_empty()
            && servers.iter().all(|server| server.value.is_map())
    };
    let Some(at) = backends.iter().position(is_section) else { return };
    let section = backends.remove(at);
    let message = format!("the entries of `{}` are read as entries of `backends`", section.key);
    notes.push(Finding::new(section.span, message));
    if let Kind::Map(servers) = section.value.kind {
        backends.splice(at..at, servers);
    }
}
