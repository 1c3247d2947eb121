//! Does a backend's `auth` say enough, and nothing that contradicts itself?

use url::Url;

use super::super::problem::Finding;
use super::super::tree::{Entry, Node};
use super::{of, text};

pub(super) fn check(backend: &Entry, findings: &mut Vec<Finding>) {
    let Some(entry) = backend.value.entry("auth").filter(|entry| entry.value.is_map()) else { return };
    findings.extend(overruled(backend, entry));
    let auth = &entry.value;
    match text(auth, "grant").map(|(_, grant)| grant) {
        Some("client_credentials") => findings.extend(incomplete(backend, entry)),
        Some("authorization_code") | None => findings.extend(for_nobody(backend, auth)),
        Some(_) => {}
    }
    findings.extend(bad_document(backend, auth));
    if text(auth, "granted_to").is_some_and(|(_, whom)| whom == "principal") {
        findings.extend(impersonal(backend, auth));
    }
}

fn overruled(backend: &Entry, auth: &Entry) -> Option<Finding> {
    let headers = backend.value.get("headers").map(Node::entries).unwrap_or_default();
    headers.iter().find(|header| header.key.eq_ignore_ascii_case("authorization"))?;
    let message = format!("{} has no effect beside an `Authorization` in `headers`", of("auth", backend));
    Some(Finding::new(auth.span, message).suggest("leave out one of the two"))
}

/// A gateway that lets itself in needs a name and one proof.
fn incomplete(backend: &Entry, entry: &Entry) -> Option<Finding> {
    let has = |key: &str| entry.value.get(key).is_some_and(|node| !node.is_null());
    let (message, suggestion) = match (has("client_id"), has("client_secret"), has("private_key")) {
        (false, _, _) => ("needs a `client_id`", "the name under which the gateway was registered"),
        (true, false, false) => {
            ("needs a `client_secret` or a `private_key`", "such as `client_secret: ${CRM_CLIENT_SECRET}`")
        }
        (true, true, true) => ("has a `client_secret` and a `private_key`", "leave out one of the two"),
        (true, ..) => return None,
    };
    let message = format!("{} with `grant: client_credentials` {message}", of("auth", backend));
    Some(Finding::new(entry.span, message).suggest(suggestion))
}

/// What makes no sense where a person lets the gateway in.
fn for_nobody(backend: &Entry, auth: &Node) -> Option<Finding> {
    if let Some(key) = auth.entry("private_key") {
        let message = format!("{} has no effect with this `grant`", of("auth.private_key", backend));
        return Some(Finding::new(key.span, message).suggest("it goes with `grant: client_credentials`"));
    }
    let secret = auth.entry("client_secret").filter(|_| auth.get("client_id").is_none())?;
    let message = format!("{} has no `client_id` beside it", of("auth.client_secret", backend));
    Some(Finding::new(secret.span, message))
}

/// Grants of principals are given by persons, and go with connections that nobody shares.
fn impersonal(backend: &Entry, auth: &Node) -> Option<Finding> {
    let entry = auth.entry("granted_to")?;
    if text(auth, "grant").is_some_and(|(_, grant)| grant == "client_credentials") {
        let message = format!("{} has no effect with this `grant`", of("auth.granted_to", backend));
        return Some(Finding::new(entry.span, message).suggest("the gateway lets itself in, for everybody"));
    }
    let (mode, _) = backend
        .value
        .get("connections")
        .and_then(|connections| text(connections, "mode"))
        .filter(|(_, mode)| matches!(*mode, "shared" | "exclusive"))?;
    let message = format!(
        "{} lets principals share a connection, and `auth.granted_to` gives each a grant of its own",
        of("connections.mode", backend)
    );
    Some(Finding::new(mode.span, message).suggest("leave it out, or choose `per_principal` or `per_session`"))
}

fn bad_document(backend: &Entry, auth: &Node) -> Option<Finding> {
    let (node, url) = text(auth, "client_metadata_url")?;
    let is_document = Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.path().len() > 1);
    (!is_document).then(|| {
        let message = format!("{} is no `https` URL with a path", of("auth.client_metadata_url", backend));
        Finding::new(node.span, message).suggest("such as `https://gateway.example.com/client.json`")
    })
}
