//! Which hosts and browser origins are served? A page on another site must not reach the gateway through
//! the browser of somebody who can (DNS rebinding; MCP 2025-11-25, basic/transports, security warning).

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::server::ServerSettings;
use crate::server::error::Error;

/// The hosts and origins that are served.
pub(in crate::server) struct Origins {
    listen: IpAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Origins {
    pub(in crate::server) fn new(settings: &ServerSettings) -> Self {
        let origin = |origin: &String| origin.trim_end_matches('/').to_ascii_lowercase();
        Self {
            listen: settings.listen.ip(),
            hosts: settings.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            origins: settings.allowed_origins.iter().map(origin).collect(),
        }
    }

    /// Refuses foreign requests; the origin is returned where a browser sent one.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Error> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.admits_host(&host.to_ascii_lowercase()) {
            return Err(Error::ForeignHost);
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if origins.next().is_some() || !self.admits_origin(&text) {
            return Err(Error::ForeignOrigin);
        }
        Ok(Some(origin.clone()))
    }

    /// An entry without a port admits every port. Where all addresses are listened on, a literal address
    /// is one of them: rebinding needs a name.
    fn admits_host(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_own = |ip: IpAddr| ip == self.listen || self.listen.is_unspecified();
        is_loopback(name)
            || address(name).is_some_and(is_own)
            || self.hosts.iter().any(|known| known == host || known == name)
    }

    fn admits_origin(&self, origin: &str) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| is_loopback(without_port(authority)))
            || self.origins.iter().any(|known| known == origin)
    }
}

/// The host of `host:port`, brackets of an IPv6 address included.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(name).parse().ok()
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || address(name).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn verdict(listen: &str, host: &str, origin: Option<&str>) -> bool {
        let settings = ServerSettings {
            listen: listen.parse().unwrap(),
            allowed_hosts: vec!["Gateway.example".into(), "only.example:8443".into()],
            allowed_origins: vec!["https://app.example/".into()],
            ..ServerSettings::default()
        };
        let mut headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        headers.extend(origin.map(|origin| (ORIGIN, origin.parse().unwrap())));
        Origins::new(&settings).check(&headers).is_ok()
    }

    #[test]
    fn loopback_the_own_address_and_listed_names_are_hosts() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:80", "[::1]", "10.0.0.7:8080"] {
            assert!(verdict("10.0.0.7:8080", host, None), "{host}");
        }
        assert!(verdict("10.0.0.7:8080", "gateway.example:9", None));
        assert!(verdict("10.0.0.7:8080", "only.example:8443", None));
        for host in
            ["evil.example", "10.0.0.8", "localhost.evil.example", "only.example:1", "", "[::1", "::1:x"]
        {
            assert!(!verdict("10.0.0.7:8080", host, None), "{host}");
        }
    }

    #[test]
    fn a_gateway_on_all_addresses_is_reached_by_address_but_not_by_any_name() {
        assert!(verdict("0.0.0.0:8080", "192.168.1.5:8080", None));
        assert!(!verdict("0.0.0.0:8080", "evil.example:8080", None));
    }

    #[test]
    fn origins_are_loopback_or_listed() {
        let admits = |origin| verdict("127.0.0.1:8080", "localhost", Some(origin));
        assert!(
            admits("http://localhost:6274") && admits("https://127.0.0.1") && admits("https://app.example")
        );
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "file://",
            "https://app.example:1",
        ] {
            assert!(!admits(origin), "{origin}");
        }
    }
}
