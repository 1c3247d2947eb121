//! Can a backend's `tls` be used?

use url::Url;

use super::super::problem::Finding;
use super::super::tree::Entry;
use super::{of, text};
use crate::backend::TlsSettings;

pub(super) fn check(backend: &Entry, findings: &mut Vec<Finding>) {
    let Some((node, pem)) = backend.value.get("tls").and_then(|tls| text(tls, "ca")) else { return };
    match (TlsSettings { ca: Some(pem.to_owned()) }).certificates() {
        Ok(certificates) if certificates.is_empty() => {
            let message = format!("{} holds no certificate", of("tls.ca", backend));
            let suggestion =
                "a PEM file: lines between `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`";
            findings.push(Finding::new(node.span, message).suggest(suggestion));
        }
        Ok(_) => {}
        Err(_) => {
            let message = format!("{} holds a certificate that cannot be read", of("tls.ca", backend));
            findings.push(Finding::new(node.span, message));
        }
    }
    let is_plain = text(&backend.value, "url").and_then(|(_, url)| Url::parse(url).ok());
    if is_plain.is_some_and(|url| url.scheme() == "http") {
        let message = format!("{} has no effect with `http://`", of("tls", backend));
        findings.push(Finding::new(node.span, message).suggest("write `https://` in `url`, or leave it out"));
    }
}
