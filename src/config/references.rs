//! What do `${NAME}`, `${NAME:-default}`, `${file:/path}` and `${free_port}` stand for?
//! What they stand for is never part of a message.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::problem::Finding;
use super::tree::{Kind, Node, Origin, Span};
use super::yaml;

/// Largest file taken in by `${file:/path}`, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

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
            match expand(text, backend, sources) {
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

fn expand(text: &str, backend: Option<&str>, sources: &mut Sources<'_>) -> Result<Expanded, Unresolved> {
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
        let end = inside.find('}').ok_or(Unresolved::Unclosed)?;
        out.push_str(&rest[..at]);
        out.push_str(&look_up(&inside[..end], backend, sources)?);
        referenced = true;
        whole = rest.len() == text.len() && at == 0 && end + 1 == inside.len();
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(Expanded { text: out, referenced, whole })
}

fn look_up(reference: &str, backend: Option<&str>, sources: &mut Sources<'_>) -> Result<String, Unresolved> {
    if let Some(path) = reference.strip_prefix("file:") {
        let file = sources.directory.join(path);
        sources.files.push(file.clone());
        return read_file(&file).map_err(|reason| Unresolved::File(path.to_owned(), reason));
    }
    if reference == "free_port" {
        let backend = backend.ok_or(Unresolved::PortOutsideBackend)?;
        return sources.free_port(backend).map(|port| port.to_string());
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_variable_name(name) {
        return Err(Unresolved::NotAReference);
    }
    match ((sources.env)(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unresolved::Unset(name.to_owned())),
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read_file(path: &Path) -> Result<String, String> {
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

/// Why a reference could not be replaced.
enum Unresolved {
    Unset(String),
    File(String, String),
    NoPort(String),
    PortOutsideBackend,
    NotAReference,
    Unclosed,
}

impl Unresolved {
    fn at(self, span: Span) -> Finding {
        const LITERAL: &str = "write `$${` for a literal `${`";
        match self {
            Self::Unset(name) => {
                Finding::new(span, format!("environment variable `{name}` is not set"))
                    .suggest(format!("set it, or give a default: `${{{name}:-default}}`"))
            }
            Self::File(path, reason) => {
                Finding::new(span, format!("cannot read the file `{path}`: {reason}"))
            }
            Self::NoPort(reason) => Finding::new(span, format!("no free port: {reason}")),
            Self::PortOutsideBackend => Finding::new(
                span,
                "`${free_port}` has a meaning only inside a backend's entry",
            )
            .suggest("use port 0 to listen on a free port"),
            Self::NotAReference => Finding::new(span, "not a reference: a `${...}` that is none of `${NAME}`, `${NAME:-default}`, `${file:/path}`, `${free_port}`")
                .suggest(LITERAL),
            Self::Unclosed => {
                Finding::new(span, "a `${` without its `}`").suggest(LITERAL)
            }
        }
    }
}
