//! Which certificates does a `tls.ca` name? A path is replaced by what its file holds, so that another certificate
//! in the same file is another configuration.

use serde_json::Value;

use super::problem::Finding;
use super::references::{Sources, read_file};
use super::tree::{Kind, Node, Origin};

/// Begins every PEM block: no path does.
const PEM: &str = "-----BEGIN";

/// Reads the file that each backend's `tls.ca` names.
pub(super) fn read(root: &mut Node, sources: &mut Sources<'_>, findings: &mut Vec<Finding>) {
    let Some(Kind::Map(backends)) = root.get_mut("backends").map(|node| &mut node.kind) else { return };
    for backend in backends {
        if let Some(ca) = backend.value.get_mut("tls").and_then(|tls| tls.get_mut("ca")) {
            replace(ca, sources, findings);
        }
    }
}

fn replace(ca: &mut Node, sources: &mut Sources<'_>, findings: &mut Vec<Finding>) {
    let Some(path) = ca.text().filter(|text| ca.origin != Origin::Unresolved && !text.contains(PEM)) else {
        return;
    };
    let file = sources.directory.join(path);
    sources.files.push(file.clone());
    match read_file(&file) {
        Ok(pem) => ca.kind = Kind::Scalar(Value::String(pem.clone()), pem),
        Err(reason) => {
            let shown = if ca.origin == Origin::Literal { format!(" `{path}`") } else { String::new() };
            findings.push(Finding::new(ca.span, format!("cannot read the file{shown}: {reason}")));
            ca.origin = Origin::Unresolved;
        }
    }
}
