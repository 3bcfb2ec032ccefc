//! Redis over TLS with rustls.

use redis::{Client, ConnectionAddr, TlsCertificates};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config_error::{ConfigError, ConfigProblem};

/// The form of a `rediss://` URL.
pub(super) const NEEDED: &str = "it needs the form rediss://user:password@host:6379";

/// Installs a default crypto provider if there is none. Otherwise rustls panics if two providers are enabled.
pub(super) fn prepare(client: &Client) {
    if is_tls(client) && CryptoProvider::get_default().is_none() {
        // Another thread may have been first.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

fn is_tls(client: &Client) -> bool {
    matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
}

/// Returns the client, with only these certificate authorities trusted.
pub(super) fn with_root_certificates(client: &Client, pem: &[u8]) -> Result<Client, ConfigError> {
    let malformed = |reason| -> ConfigError { ConfigProblem::MalformedCertificate { reason }.into() };
    if !is_tls(client) {
        return Err(
            ConfigProblem::InvalidRedisUrl { needed: "root certificates need a `rediss://` URL" }.into()
        );
    }
    if CertificateDer::from_pem_slice(pem).is_err() {
        return Err(malformed(
            "no certificate in PEM found; it needs to begin with `-----BEGIN CERTIFICATE-----`",
        ));
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
    Client::build_with_tls(client.get_connection_info().clone(), certificates)
        .map_err(|_| malformed("a certificate is damaged; copy it again"))
}
