//! Can every name in `allowed_hosts` and `allowed_origins` be the one a client sends?
//!
//! A name is compared as it is: there are no patterns, and a `Host` has neither scheme nor path.

use url::Url;

use super::super::problem::Finding;
use super::super::tree::Node;
use super::known;

pub(super) fn check(root: &Node, notes: &mut Vec<Finding>) {
    let Some(server) = root.get("server") else { return };
    for (key, why) in [("allowed_hosts", wrong_host as fn(&str) -> _), ("allowed_origins", wrong_origin)] {
        for node in server.get(key).map(Node::items).unwrap_or_default() {
            if let Some(suggestion) = known(node).and_then(why) {
                let message = format!("an entry of `server.{key}` matches nothing");
                notes.push(Finding::new(node.span, message).suggest(suggestion));
            }
        }
    }
}

fn wrong_host(host: &str) -> Option<String> {
    if host.contains('*') {
        return Some("there are no patterns: list each name".to_owned());
    }
    if let Some((_, rest)) = host.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        return Some(format!("a host has no scheme: write `{host}`"));
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if name.contains(':') && !name.starts_with('[') {
        return Some(format!("an IPv6 address has brackets: write `[{name}]`"));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some("what follows the `:` is no port".to_owned());
    }
    is_not_sent(name)
}

fn wrong_origin(origin: &str) -> Option<String> {
    if origin.contains('*') {
        return Some("there are no patterns: list each origin".to_owned());
    }
    let Some((scheme, rest)) = origin.split_once("://").filter(|(scheme, _)| !scheme.is_empty()) else {
        return Some(format!("an origin has a scheme: write `https://{origin}`"));
    };
    let authority = rest.trim_end_matches('/');
    if authority.contains(['/', '?', '#']) {
        let host = authority.split(['/', '?', '#']).next().unwrap_or_default();
        return Some(format!("an origin has no path: write `{scheme}://{host}`"));
    }
    let default = matches!(
        (scheme, authority.rsplit_once(':')),
        ("http", Some((_, "80"))) | ("https", Some((_, "443")))
    );
    if default {
        return Some("browsers leave out the port that belongs to the scheme".to_owned());
    }
    is_not_sent(authority)
}

/// Names are sent in lower-case ASCII, without blanks.
fn is_not_sent(name: &str) -> Option<String> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "/?#@".contains(c)) {
        return Some("a name or an address, and a port if only one is meant".to_owned());
    }
    if !name.is_ascii() {
        let url = Url::parse(&format!("http://{name}/")).ok()?;
        return Some(format!("it is sent in ASCII: write `{}`", url.host_str()?));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_can_be_sent_is_fine() {
        for host in ["a.example", "A.example:8443", "10.0.0.1", "[::1]:80", "[::1]", "gateway"] {
            assert_eq!(wrong_host(host), None, "{host}");
        }
        for host in [
            "*.example",
            "https://a.example/",
            "::1",
            "a.example:x",
            "a.example/mcp",
            "",
            "a b",
            "bücher.example",
        ] {
            assert!(wrong_host(host).is_some(), "{host}");
        }
    }

    #[test]
    fn an_origin_that_can_be_sent_is_fine() {
        for origin in ["https://a.example", "http://a.example:8080/", "vscode-file://vscode-app"] {
            assert_eq!(wrong_origin(origin), None, "{origin}");
        }
        for origin in
            ["*", "a.example", "https://a.example/app", "https://a.example:443", "https://*.example"]
        {
            assert!(wrong_origin(origin).is_some(), "{origin}");
        }
    }
}
