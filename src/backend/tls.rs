//! Whom a backend's TLS trusts, and in plain words why it refused.

use std::error::Error;
use std::io;

use reqwest::Certificate;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS towards one backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates (PEM) of private authorities, trusted beside the system's: a path relative to this file, which is
    /// read again when it changes, or the certificates themselves.
    pub ca: Option<String>,
}

impl TlsSettings {
    /// The certificates in `ca`, each of which can be trusted as an authority's.
    ///
    /// # Errors
    /// Text that is no PEM, or holds a certificate that cannot be read.
    pub fn certificates(&self) -> Result<Vec<Certificate>, reqwest::Error> {
        let Some(pem) = &self.ca else { return Ok(Vec::new()) };
        let certificates = Certificate::from_pem_bundle(pem.as_bytes())?;
        // Certificates are read when a client is built of them, not before.
        reqwest::Client::builder().tls_certs_only(certificates.clone()).build()?;
        Ok(certificates)
    }
}

/// What TLS refused and what to do about it, if TLS is behind `error`.
pub(super) fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = tls_error(error) {
            return Some(told(error));
        }
        cause = error.source();
    }
    None
}

/// An I/O error holds the error it was made of, which is not among its sources.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(error);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    tls_error(inner)
}

fn told(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(refused) => format!("its certificate {}", of_certificate(refused)),
        TlsError::InvalidMessage(_) => {
            "it does not speak TLS: is the URL `http://`, or the port another?".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) | TlsError::PeerIncompatible(_) => {
            "it speaks no version of TLS or no cipher that is still safe (TLS 1.2 and 1.3)".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            "it wants a certificate of its clients, which the gateway does not have".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::UnrecognisedName) => {
            "it serves no host of the URL's name".to_owned()
        }
        TlsError::AlertReceived(alert) => format!("it refused TLS ({alert:?})"),
        _ => format!("TLS failed: {error}"),
    }
}

fn of_certificate(refused: &CertificateError) -> String {
    use CertificateError as Refused;
    match refused {
        Refused::Expired | Refused::ExpiredContext { .. } => {
            "has expired: renew it on the server (and look at this machine's clock)".to_owned()
        }
        Refused::NotValidYet | Refused::NotValidYetContext { .. } => {
            "is not valid yet: look at this machine's clock".to_owned()
        }
        Refused::UnknownIssuer => {
            "is self-signed, or of an authority that this machine does not know: if it \
                                   is a private one, name its certificate in `tls: { ca: /path/to/ca.pem }`"
                .to_owned()
        }
        Refused::NotValidForNameContext { expected, presented } => format!(
            "is for another host: `{}` is asked for, it names {}",
            expected.to_str(),
            match presented.is_empty() {
                true => "none".to_owned(),
                false => presented.iter().take(5).map(|name| plain_name(name)).collect::<Vec<_>>().join(", "),
            }
        ),
        Refused::NotValidForName => "is for another host than the URL names".to_owned(),
        Refused::Revoked => "has been revoked".to_owned(),
        Refused::BadSignature => {
            "is not signed by the authority it names: is `tls.ca` the right one?".to_owned()
        }
        Refused::InvalidPurpose | Refused::InvalidPurposeContext { .. } => {
            "is not meant for a server (its extended key usage lacks `serverAuth`)".to_owned()
        }
        Refused::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "is an authority's (`CA:TRUE`), as self-signed ones often are: give the server one of its own \
             (`CA:FALSE`) that the authority signed, and name the authority in `tls: { ca: /path/to/ca.pem }`"
                .to_owned()
        }
        Refused::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "is of an old form (X.509 version 1): make a new one".to_owned()
        }
        _ => "cannot be verified: is it whole, and is the chain up to the authority sent with it?".to_owned(),
    }
}

/// `DnsName("a.example")` is how the library spells a name.
fn plain_name(name: &str) -> String {
    let inside = name.split('"').nth(1).or_else(|| name.split(['(', ')']).nth(1));
    format!("`{}`", inside.unwrap_or(name))
}
