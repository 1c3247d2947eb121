//! Is a private authority trusted where it is named, and is what TLS refuses said in plain words with its backend?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::process::{Serving, run};
use crate::support::{RawBackend, Speaks, Yard, eventually, port};

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls")
}

fn ca() -> String {
    format!("tls: {{ ca: '{}' }}", certificates().join("ca.pem").display())
}

/// A server behind TLS, with one of the certificates in `tests/it/tls`.
struct TlsBackend {
    port: u16,
    _backend: RawBackend,
    task: JoinHandle<()>,
}

impl Drop for TlsBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsBackend {
    async fn start(certificate: &str) -> Self {
        let backend = RawBackend::start(Speaks::Modern, "[]", |_| None).await;
        let plain =
            backend.url.strip_prefix("http://").and_then(|url| url.split('/').next()).unwrap().to_owned();
        let acceptor = acceptor(certificate);
        let listener = port::listener().await;
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, plain) = (acceptor.clone(), plain.clone());
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(stream).await else { return };
                    let Ok(mut plain) = TcpStream::connect(plain).await else { return };
                    let _ = copy_bidirectional(&mut tls, &mut plain).await;
                });
            }
        });
        Self { port, _backend: backend, task }
    }

    fn entry(&self, settings: &str) -> String {
        format!("  crm: {{ url: 'https://127.0.0.1:{}/mcp', {settings} }}\n", self.port)
    }
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_file(certificates().join(format!("{certificate}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates().join(format!("{certificate}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Why the backend is not reached.
async fn reason(certificate: &str, settings: &str) -> String {
    let backend = TlsBackend::start(certificate).await;
    let yard = Yard::start_cold(&format!("backends:\n{}", backend.entry(settings))).await;
    let down = eventually("a reason", async || yard.backend("crm").snapshot.last_error).await;
    yard.stop().await;
    down
}

#[tokio::test]
async fn a_server_of_a_private_authority_is_reached_where_the_authority_is_named() {
    let backend = TlsBackend::start("good").await;
    let yard = Yard::start_cold(&format!("backends:\n{}", backend.entry(&ca()))).await;
    yard.until("crm", "ready").await;
    yard.stop().await;
}

#[tokio::test]
async fn what_tls_refuses_is_said_in_plain_words() {
    for (certificate, settings, words) in [
        ("good", String::new(), "authority that this machine does not know"),
        ("good", String::new(), "tls: { ca: /path/to/ca.pem }"),
        ("self_signed", String::new(), "is an authority's (`CA:TRUE`)"),
        ("expired", ca(), "has expired"),
        ("elsewhere", ca(), "is for another host: `127.0.0.1` is asked for, it names `elsewhere.example`"),
    ] {
        let reason = reason(certificate, &settings).await;
        assert!(reason.contains(words), "{certificate}: {reason}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_with_a_bad_certificate() {
    let backend = RawBackend::start(Speaks::Modern, "[]", |_| None).await;
    let url = backend.url.replace("http://", "https://");
    let yard = Yard::start_cold(&format!("backends: {{ crm: {{ url: '{url}' }} }}")).await;
    let reason = eventually("a reason", async || yard.backend("crm").snapshot.last_error).await;
    assert!(reason.contains("does not speak TLS"), "{reason}");
    yard.stop().await;
}

#[tokio::test]
async fn every_line_about_tls_names_its_backend_and_the_authority_is_read_again_when_it_changes() {
    let backend = TlsBackend::start("good").await;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let pem = |name: &str| std::fs::read_to_string(certificates().join(name)).unwrap();
    write("ca.pem", &pem("self_signed.pem"));
    let listen = "server: { listen: '127.0.0.1:0' }\nadmin: { listen: '127.0.0.1:0' }\n";
    let settings = "tls: { ca: ca.pem }, restart: { backoff: 100ms, max_backoff: 100ms }";
    write("gateway.yaml", &format!("{listen}backends:\n{}", backend.entry(settings)));
    let serving = Serving::start(directory.path(), &["serve"]);
    let status = serving.said("status").await;
    eventually("a refusal", async || serving.log().contains("backend down").then_some(())).await;
    for line in serving.log().lines().filter(|line| line.contains("certificate")) {
        assert!(line.contains("crm"), "{line}");
    }
    write("ca.pem", &pem("ca.pem"));
    eventually("the backend", async || {
        let url = status.trim_end_matches("/status");
        let shown = run(directory.path(), &["status", "--url", url]).await;
        String::from_utf8(shown.stdout).unwrap().contains("ready").then_some(())
    })
    .await;
}
