//! Does a backend say one clear way to reach it?

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};
use url::{ParseError, Position, Url};

use super::super::problem::Finding;
use super::super::tree::{Entry, Node};
use super::{is_literal, known, of, text};

pub(super) fn check(backend: &Entry, findings: &mut Vec<Finding>) {
    let node = &backend.value;
    let replicas = node.get("urls").is_some();
    let (command, url) = (node.get("command").is_some(), node.get("url").is_some() || replicas);
    if !command && !url {
        let message = format!("backend `{}` has neither `command` nor `url`", backend.key);
        let suggestion = "`command` launches it, `url` connects to it, both do both";
        findings.push(Finding::new(backend.span, message).suggest(suggestion));
    } else {
        if !command {
            pointless(backend, &["args", "env", "cwd"], "command", findings);
        }
        if !url {
            pointless(backend, &["headers", "auth", "tls"], "url", findings);
        }
        findings.extend(contradiction(backend, command, url));
    }
    findings.extend(bad_command(backend));
    findings.extend(node.get("url").and_then(|url| bad_url("url", url, backend)));
    bad_urls(backend, findings);
    bad_env(backend, findings);
    bad_headers(backend, findings);
}

fn pointless(backend: &Entry, keys: &[&str], without: &str, findings: &mut Vec<Finding>) {
    for key in keys {
        let entry = backend.value.entry(key);
        if let Some(entry) = entry.filter(|e| !e.value.is_null() && !e.value.is_hollow()) {
            let message = format!("{} has no effect without `{without}`", of(key, backend));
            findings.push(Finding::new(entry.span, message));
        }
    }
}

fn contradiction(backend: &Entry, command: bool, url: bool) -> Option<Finding> {
    let (node, kind) = text(&backend.value, "type")?;
    let (problem, suggestion) = match kind {
        "stdio" if url => ("does not go with `url`", "leave out `type`, or `url`"),
        "stdio" if !command => ("needs a `command`", "name the program to launch"),
        "stdio" => return None,
        _ if !url => ("needs a `url`", "say where the server listens"),
        _ => return None,
    };
    let shown = if is_literal(node) { format!(" is `{kind}`, which") } else { String::new() };
    let message = format!("{}{shown} {problem}", of("type", backend));
    Some(Finding::new(node.span, message).suggest(suggestion))
}

fn bad_command(backend: &Entry) -> Option<Finding> {
    let (node, command) = text(&backend.value, "command")?;
    if command.trim().is_empty() {
        return Some(Finding::new(node.span, format!("{} is empty", of("command", backend))));
    }
    let one_word = !command.contains(char::is_whitespace) || command.contains(['/', '\\']);
    (!one_word).then(|| {
        let message = format!("{} holds arguments too", of("command", backend));
        Finding::new(node.span, message).suggest("leave the program there, and list the rest in `args`")
    })
}

fn bad_url(key: &str, node: &Node, backend: &Entry) -> Option<Finding> {
    let reason = match Url::parse(known(node)?) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => return None,
        Ok(_) => "is neither `http` nor `https`".to_owned(),
        Err(ParseError::RelativeUrlWithoutBase) => "does not begin with `https://` or `http://`".to_owned(),
        Err(error) => format!("is not a URL: {error}"),
    };
    Some(
        Finding::new(node.span, format!("{} {reason}", of(key, backend)))
            .suggest("such as `https://mcp.example.com/mcp`"),
    )
}

/// Replicas are told apart by where they are, and are not launched.
fn bad_urls(backend: &Entry, findings: &mut Vec<Finding>) {
    let Some(entry) = backend.value.entry("urls") else { return };
    for other in ["url", "command"].into_iter().filter(|key| backend.value.get(key).is_some()) {
        let message = format!("{} does not go with `{other}`", of("urls", backend));
        findings.push(
            Finding::new(entry.span, message).suggest("`urls` is for a server that runs in several places"),
        );
    }
    if entry.value.items().is_empty() {
        findings.push(Finding::new(entry.value.span, format!("{} is empty", of("urls", backend))));
    }
    let mut places = BTreeSet::new();
    for node in entry.value.items() {
        findings.extend(bad_url("urls", node, backend));
        let place = known(node).and_then(|url| Url::parse(url).ok());
        let place = place.map(|url| url[Position::BeforeHost..Position::AfterPath].to_owned());
        if place.is_some_and(|place| !places.insert(place)) {
            let message = format!("{} names one place twice", of("urls", backend));
            findings.push(Finding::new(node.span, message));
        }
    }
}

fn bad_env(backend: &Entry, findings: &mut Vec<Finding>) {
    for entry in backend.value.get("env").map(Node::entries).unwrap_or_default() {
        let bad_name = entry.key.is_empty() || entry.key.contains(['=', '\0']);
        let bad_value = known(&entry.value).is_some_and(|value| value.contains('\0'));
        if bad_name || bad_value {
            let message = format!("{} has an impossible variable", of("env", backend));
            findings.push(Finding::new(entry.span, message));
        }
    }
}

fn bad_headers(backend: &Entry, findings: &mut Vec<Finding>) {
    for entry in backend.value.get("headers").map(Node::entries).unwrap_or_default() {
        let name = &entry.key;
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("`{name}` cannot be the name of a header");
            findings.push(Finding::new(entry.span, message));
        } else if known(&entry.value).is_some_and(|value| HeaderValue::from_str(value).is_err()) {
            let message = format!("the value of header `{name}` cannot be sent");
            let suggestion = "a header is one line of visible characters";
            findings.push(Finding::new(entry.value.span, message).suggest(suggestion));
        }
    }
}
