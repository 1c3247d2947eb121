//! What do `${NAME}`, `${NAME:-default}`, `${file:/path}` and `${free_port}` stand for?
//! What they stand for is never part of a message.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::problem::Finding;
use super::tree::{Kind, Node, Origin};
use super::unresolved::Unresolved;
use super::yaml;

/// Largest file taken in by `${file:/path}`, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Deepest nesting of references in defaults and paths.
const MAX_DEPTH: usize = 8;

/// Where references are looked up.
pub(crate) struct Sources<'a> {
    /// The environment.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The configuration file's directory.
    pub(crate) directory: &'a Path,
    /// The free port of each backend that asked for one, on this and on earlier loads.
    pub(crate) ports: BTreeMap<String, u16>,
    /// Keeps new ports taken until all are given out, so that no two are the same.
    pub(crate) listeners: Vec<TcpListener>,
    /// The files that were asked for, whether or not they could be read.
    pub(crate) files: Vec<PathBuf>,
}

/// Replaces every reference in `root`.
pub(crate) fn resolve(root: &mut Node, sources: &mut Sources<'_>, findings: &mut Vec<Finding>) {
    let Kind::Map(entries) = &mut root.kind else {
        return;
    };
    for entry in entries {
        match &mut entry.value.kind {
            Kind::Map(backends) if entry.key == "backends" => {
                for backend in backends {
                    replace(&mut backend.value, Some(&backend.key), sources, findings);
                }
            }
            _ => replace(&mut entry.value, None, sources, findings),
        }
    }
}

fn replace(node: &mut Node, backend: Option<&str>, sources: &mut Sources<'_>, findings: &mut Vec<Finding>) {
    match &mut node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                replace(&mut entry.value, backend, sources, findings);
            }
        }
        Kind::List(items) => {
            for item in items {
                replace(item, backend, sources, findings);
            }
        }
        Kind::Scalar(Value::String(text), spelled) if text.contains("${") => {
            match expand(text, backend, sources, 0) {
                Ok(expanded) => {
                    if expanded.referenced {
                        node.origin = Origin::Referenced;
                    }
                    let bare = expanded.whole && spelled.starts_with('$');
                    node.kind = scalar(expanded.text, bare);
                }
                Err(problem) => {
                    node.origin = Origin::Unresolved;
                    findings.push(problem.at(node.span));
                }
            }
        }
        Kind::Scalar(..) => {}
    }
}

/// A reference written without quotes may stand for a number or a boolean.
fn scalar(text: String, bare: bool) -> Kind {
    let typed = match text.as_str() {
        "true" | "false" if bare => Value::Bool(text == "true"),
        _ if bare => plain_number(&text).unwrap_or_else(|| Value::String(text.clone())),
        _ => Value::String(text.clone()),
    };
    Kind::Scalar(typed, text)
}

fn plain_number(text: &str) -> Option<Value> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let number = text.parse::<f64>().ok().filter(|_| digits)?;
    Some(text.parse::<u64>().map_or_else(|_| yaml::number(number), Value::from))
}

/// Text with its references replaced.
struct Expanded {
    text: String,
    /// Whether there was any.
    referenced: bool,
    /// Whether one reference was all there was.
    whole: bool,
}

/// Replaces the references in `text`, and those in their defaults and paths: `${DIR:-${HOME}/x}`.
fn expand(
    text: &str,
    backend: Option<&str>,
    sources: &mut Sources<'_>,
    depth: usize,
) -> Result<Expanded, Unresolved> {
    if depth > MAX_DEPTH {
        return Err(Unresolved::TooDeep);
    }
    let (mut out, mut rest) = (String::new(), text);
    let (mut referenced, mut whole) = (false, false);
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        let inside = &rest[at + 2..];
        if escaped {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = inside;
            continue;
        }
        let end = closing_brace(inside).ok_or(Unresolved::Unclosed)?;
        out.push_str(&rest[..at]);
        out.push_str(&look_up(&inside[..end], backend, sources, depth)?);
        referenced = true;
        whole = rest.len() == text.len() && at == 0 && end + 1 == inside.len();
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(Expanded { text: out, referenced, whole })
}

/// The `}` that ends the reference whose inside `text` begins with.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if at > 0 && text.as_bytes().get(at - 1) == Some(&b'$') => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn look_up(
    reference: &str,
    backend: Option<&str>,
    sources: &mut Sources<'_>,
    depth: usize,
) -> Result<String, Unresolved> {
    if let Some(path) = reference.strip_prefix("file:") {
        let path = expand(path, backend, sources, depth + 1)?.text;
        let file = sources.directory.join(&path);
        sources.files.push(file.clone());
        return read_file(&file).map_err(|reason| Unresolved::File(path, reason));
    }
    if reference == "free_port" {
        let backend = backend.ok_or(Unresolved::PortOutsideBackend)?;
        return sources.free_port(backend).map(|port| port.to_string());
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let Some(variable) = variable_of(name) else {
        return Err(Unresolved::unknown(name));
    };
    match ((sources.env)(variable), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => expand(default, backend, sources, depth + 1).map(|expanded| expanded.text),
        (None, None) => Err(Unresolved::unset(variable)),
    }
}

/// The environment variable that a reference names: `NAME`, or as editors write it `env:NAME` and `userHome`.
fn variable_of(name: &str) -> Option<&str> {
    let name = match name.strip_prefix("env:") {
        Some(name) => name,
        None if name == "userHome" => "HOME",
        None => name,
    };
    is_variable_name(name).then_some(name)
}

pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The text of a file that the configuration names, without the line end after its last line.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err("not a regular file of at most 1 MiB".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

impl Sources<'_> {
    fn free_port(&mut self, backend: &str) -> Result<u16, Unresolved> {
        if let Some(port) = self.ports.get(backend) {
            return Ok(*port);
        }
        let fail = |error: std::io::Error| Unresolved::NoPort(error.to_string());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail)?;
        let port = listener.local_addr().map_err(fail)?.port();
        self.listeners.push(listener);
        self.ports.insert(backend.to_owned(), port);
        Ok(port)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Option<String> {
        let env = |name: &str| match name {
            "SET" => Some("set".to_owned()),
            "EMPTY" => Some(String::new()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        let directory = Path::new("/nowhere");
        let (listeners, files) = (Vec::new(), Vec::new());
        let mut sources = Sources { env: &env, directory, ports: BTreeMap::new(), listeners, files };
        expand(text, None, &mut sources, 0).ok().map(|expanded| expanded.text)
    }

    #[test]
    fn a_default_may_hold_references() {
        for (text, meaning) in [
            ("${NO:-${HOME}/x}", Some("/home/me/x")),
            ("${SET:-${NO}/x}", Some("set")),
            ("a${NO:-${EMPTY:-${SET}!}}b", Some("aset!b")),
            ("${NO:-${NO}}", None),
            ("${NO:-a{b}c}", Some("a{bc}")),
            ("${NO:-$${SET}}", Some("${SET}")),
            ("${NO:-${SET}", None),
            ("${NO:-}${SET}", Some("set")),
            ("${env:SET} ${userHome} ${env:NO:-d}", Some("set /home/me d")),
        ] {
            assert_eq!(expanded(text).as_deref(), meaning, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth: usize| "${NO:-".repeat(depth) + "x" + &"}".repeat(depth);
        assert_eq!(expanded(&nested(MAX_DEPTH)).as_deref(), Some("x"));
        assert_eq!(expanded(&nested(MAX_DEPTH + 1)), None);
        assert_eq!(expanded(&nested(100_000)), None);
    }
}
