//! Which requests go through a proxy that the environment names?
//!
//! As curl reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, with one exception: what is on this machine is
//! never asked for elsewhere, whatever `NO_PROXY` says. A proxy cannot reach it, or reaches its own machine.

use std::sync::LazyLock;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::{Host, Url};

static MATCHER: LazyLock<Matcher> = LazyLock::new(Matcher::from_env);

/// The proxy that requests to `url` go through, without its credentials.
pub(super) fn proxy_of(url: &Url) -> Option<String> {
    through(&MATCHER, url)
}

fn through(matcher: &Matcher, url: &Url) -> Option<String> {
    if is_loopback(url) {
        return None;
    }
    let target: Uri = url.as_str().parse().ok()?;
    let proxy = matcher.intercept(&target)?;
    let (scheme, host) = (proxy.uri().scheme_str().unwrap_or("http"), proxy.uri().host()?);
    Some(match proxy.uri().port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Whether `url` names this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            let mapped = address.to_ipv4_mapped().is_some_and(|address| address.is_loopback());
            address.is_loopback() || address.is_unspecified() || mapped
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxied(url: &str) -> Option<String> {
        let matcher =
            Matcher::builder().all("http://user:secret@proxy.example:3128").no("direct.example").build();
        through(&matcher, &Url::parse(url).unwrap())
    }

    #[test]
    fn what_is_on_this_machine_is_never_asked_for_through_a_proxy() {
        for host in [
            "127.0.0.1:80",
            "127.8.7.6",
            "localhost",
            "LocalHost.",
            "mcp.localhost:9",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "0.0.0.0:1",
        ] {
            assert_eq!(proxied(&format!("http://{host}/mcp")), None, "{host}");
            assert_eq!(proxied(&format!("https://{host}/mcp")), None, "{host}");
        }
    }

    #[test]
    fn the_proxy_of_others_is_named_without_its_credentials() {
        for host in ["crm.example", "10.0.0.1", "localhost.example", "128.0.0.1", "[2001:db8::1]"] {
            let proxy = proxied(&format!("https://{host}/mcp"));
            assert_eq!(proxy.as_deref(), Some("http://proxy.example:3128"), "{host}");
        }
        assert_eq!(proxied("https://direct.example/mcp"), None);
    }
}
