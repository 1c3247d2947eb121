//! Are the addresses to listen on safe, and apart?

use std::net::SocketAddr;

use super::super::problem::Finding;
use super::super::tree::{Node, Span};
use super::{known, text};
use crate::server::{AdminSettings, ServerSettings};

pub(super) fn check(root: &Node, findings: &mut Vec<Finding>) {
    let server = listen(root, "server").unwrap_or(Listen::default_of(ServerSettings::default().listen));
    let admin = listen(root, "admin").unwrap_or(Listen::default_of(AdminSettings::default().listen));
    findings.extend(exposed(root, &server));
    findings.extend(clash(root, &server, &admin));
    same_tokens(root, findings);
}

/// An address to listen on, and where it is written unless it is the default.
struct Listen {
    address: SocketAddr,
    span: Option<Span>,
}

impl Listen {
    fn default_of(address: SocketAddr) -> Self {
        let span = None;
        Self { address, span }
    }
}

fn listen(root: &Node, section: &str) -> Option<Listen> {
    let (node, address) = text(root.get(section)?, "listen")?;
    Some(Listen { address: address.parse().ok()?, span: Some(node.span) })
}

fn exposed(root: &Node, server: &Listen) -> Option<Finding> {
    let anonymous = root.get("server")?.get("allow_anonymous");
    let clients = root.get("clients").map(Node::entries).unwrap_or_default();
    if server.address.ip().to_canonical().is_loopback()
        || anonymous.is_some_and(Node::is_true)
        || !clients.is_empty()
    {
        return None;
    }
    let message = "`server.listen` is not a loopback address and there are no `clients`: \
                   anyone who reaches the port could call every tool";
    let suggestion = "add `clients:` (`switchyard token new` makes a token), listen on 127.0.0.1, \
                      or set `server.allow_anonymous: true` if something in front authenticates";
    Some(Finding::new(server.span?, message).suggest(suggestion))
}

fn clash(root: &Node, server: &Listen, admin: &Listen) -> Option<Finding> {
    let enabled = root.get("admin").and_then(|admin| admin.get("enabled"));
    if enabled.is_some_and(Node::is_false) {
        return None;
    }
    let (ours, theirs) = (server.address, admin.address);
    let overlap = ours.ip() == theirs.ip() || ours.ip().is_unspecified() || theirs.ip().is_unspecified();
    if !overlap || ours.port() != theirs.port() || ours.port() == 0 {
        return None;
    }
    let message = "`server.listen` and `admin.listen` have the same port";
    let span = admin.span.or(server.span)?;
    Some(Finding::new(span, message).suggest("give one of them another port"))
}

fn same_tokens(root: &Node, findings: &mut Vec<Finding>) {
    let clients = root.get("clients").map(Node::entries).unwrap_or_default();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for client in clients {
        let Some(token) = client.value.get("token_sha256") else {
            continue;
        };
        let Some(hash) = known(token) else { continue };
        match seen.iter().find(|(_, other)| *other == hash) {
            Some((other, _)) => {
                let message = format!("clients `{other}` and `{}` have the same token", client.key);
                findings.push(
                    Finding::new(token.span, message).suggest("give each its own: `switchyard token new`"),
                );
            }
            None => seen.push((&client.key, hash)),
        }
    }
}
