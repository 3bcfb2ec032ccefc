use sha2::{Digest, Sha256};

use crate::binding::Thumbprint;
use crate::error::FixedCause;

/// The client's certificate, as an extension of each request of its connection.
///
/// The TLS acceptor inserts it. Behind a proxy that ends TLS, the [`ClientCertificateLayer`](crate::mtls::ClientCertificateLayer)
/// does. It holds only the thumbprint, so it is cheap to copy.
///
/// ```
/// use tower_jwt_auth::mtls::ClientCertificate;
///
/// /// Called for each request. `chain` is what the client sent in the handshake, its own certificate first.
/// fn insert_certificate<B>(request: &mut http::Request<B>, chain: &[Vec<u8>]) {
///     if let Some(der) = chain.first() {
///         request.extensions_mut().insert(ClientCertificate::from_der(der));
///     }
/// }
/// # let mut request = http::Request::new(());
/// # insert_certificate(&mut request, &[b"abc".to_vec(), b"d".to_vec()]);
/// # let thumbprint = request.extensions().get::<ClientCertificate>().unwrap().thumbprint();
/// # assert_eq!(thumbprint.to_string(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    thumbprint: Thumbprint,
}

impl ClientCertificate {
    /// Hashes a certificate in DER.
    ///
    /// # Security
    ///
    /// The client must have proven in the TLS handshake that it holds the private key. Every TLS library checks this
    /// signature, unless a custom verifier of client certificates skips it.
    #[must_use]
    pub fn from_der(der: impl AsRef<[u8]>) -> Self {
        Self::of(Thumbprint::new(Sha256::digest(der).into()))
    }

    pub(crate) fn of(thumbprint: Thumbprint) -> Self {
        Self { thumbprint }
    }

    /// Returns the SHA-256 hash of the certificate: the `x5t#S256` of its tokens
    /// ([RFC 8705, section 3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
}

/// The reason why a request has no certificate, as an extension: the proxy sent an unusable header.
#[derive(Clone, Copy)]
pub(crate) struct UnreadableCertificate(pub(crate) &'static FixedCause);
