use std::fmt::{self, Formatter};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::binding::Thumbprint;
use crate::error::{AuthError, FixedCause};
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// Accepts certificate-bound tokens, whose sender authenticates with mutual TLS (RFC 8705).
#[derive(Clone)]
#[must_use]
pub struct Mtls(Arc<Settings>);

#[derive(Clone, Default)]
struct Settings {
    required: bool,
}

impl Mtls {
    /// Takes the client certificate from the [`ClientCertificate`] in the extensions of the request.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Rejects tokens that are not bound.
    pub fn required(mut self) -> Self {
        Arc::make_mut(&mut self.0).required = true;
        self
    }

    pub(in crate::verify) fn is_required(&self) -> bool {
        self.0.required
    }

    pub(in crate::verify) fn judge(
        &self,
        expected: Thumbprint,
        request: Option<Head<'_>>,
    ) -> Result<(), AuthError> {
        let certificate =
            request.and_then(|request| request.extensions().get::<ClientCertificate>().copied());
        match certificate {
            None => Err(AuthErrorKind::MissingCertificate.into()),
            Some(certificate) if certificate.thumbprint == expected => Ok(()),
            Some(_) => Err(AuthError::new(AuthErrorKind::WrongCertificate).because(OTHER)),
        }
    }
}

const OTHER: &FixedCause =
    &FixedCause("the connection has another client certificate than the token (`cnf.x5t#S256`)");

impl Default for Mtls {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Mtls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mtls").field("required", &self.0.required).finish_non_exhaustive()
    }
}

/// The certificate of the client, as an extension of each request of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    thumbprint: Thumbprint,
}

impl ClientCertificate {
    /// Hashes a certificate in DER.
    #[must_use]
    pub fn from_der(der: impl AsRef<[u8]>) -> Self {
        Self { thumbprint: Thumbprint::new(Sha256::digest(der).into()) }
    }

    /// Returns the SHA-256 thumbprint: `x5t#S256`.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
}
