//! Does the file make sense? What a schema cannot say: values against each other.
//!
//! Every check works on the tree and passes over what has the wrong shape, so that all problems
//! are found in one go whatever else is wrong.

mod auth;
mod durations;
mod endpoints;
mod hosts;
mod names;
mod tls;
mod transport;

use super::normalise::WITHOUT_BACKENDS;
use super::problem::Finding;
use super::tree::{Entry, Node, Origin, Span};

/// Reports everything in `root`, defaults applied, that has the right shape but no sense.
pub(crate) fn all(root: &Node, findings: &mut Vec<Finding>) {
    presence(root, findings);
    endpoints::check(root, findings);
    if let Some(defaults) = root.get("defaults") {
        durations::check(defaults, findings);
    }
    let backends = root.get("backends").map(Node::entries).unwrap_or_default();
    names::check(backends, findings);
    names::check_clients(root, findings);
    for backend in backends.iter().filter(|backend| backend.value.is_map()) {
        transport::check(backend, findings);
        tls::check(backend, findings);
        auth::check(backend, findings);
        durations::check(&backend.value, findings);
        durations::check_tools(&backend.value, findings);
    }
}

/// Reports what is right and yet cannot do what its author wants.
pub(crate) fn notes(root: &Node, notes: &mut Vec<Finding>) {
    hosts::check(root, notes);
}

fn presence(root: &Node, findings: &mut Vec<Finding>) {
    if root.is_map() && root.entry("backends").is_none() {
        let message = "`backends` is missing";
        findings.push(Finding::new(Span::default(), message).suggest(WITHOUT_BACKENDS));
    }
}

/// The text under `key`, when it is known.
fn text<'a>(node: &'a Node, key: &str) -> Option<(&'a Node, &'a str)> {
    let value = node.get(key)?;
    known(value).map(|text| (value, text))
}

/// The text of `node`, unless a reference in it could not be replaced.
fn known(node: &Node) -> Option<&str> {
    node.text().filter(|_| node.origin != Origin::Unresolved)
}

/// Whether `node` was written in the file, and not put in place of a reference.
fn is_literal(node: &Node) -> bool {
    node.origin == Origin::Literal
}

/// `key` of the backend that `entry` is, in words.
fn of(key: &str, entry: &Entry) -> String {
    format!("`{key}` of backend `{}`", entry.key)
}
