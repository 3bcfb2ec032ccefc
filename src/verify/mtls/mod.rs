mod certificate;

use std::fmt::{self, Formatter};
use std::sync::Arc;

pub use self::certificate::ClientCertificate;
pub(crate) use self::certificate::UnreadableCertificate;
use crate::binding::Thumbprint;
use crate::error::{AuthError, FixedCause};
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// The settings for tokens that are bound to a client certificate ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)).
///
/// Pass it to [`JwtVerifier::mtls`](crate::JwtVerifier::mtls) or `Introspection::mtls`. The [module](crate::mtls) has an
/// example and lists the checks.
#[derive(Clone)]
#[must_use]
pub struct Mtls(Arc<Settings>);

#[derive(Clone, Default)]
struct Settings {
    required: bool,
}

impl Mtls {
    /// Compares bound tokens with the [`ClientCertificate`] of the request.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Rejects tokens that are not bound.
    ///
    /// If the verifier also has `Dpop` settings, a token that is bound to a key is accepted too.
    pub fn required(mut self) -> Self {
        Arc::make_mut(&mut self.0).required = true;
        self
    }

    pub(in crate::verify) fn is_required(&self) -> bool {
        self.0.required
    }

    /// Checks that the request comes from the owner of the expected certificate.
    pub(in crate::verify) fn judge(
        &self,
        expected: Thumbprint,
        request: Option<Head<'_>>,
    ) -> Result<(), AuthError> {
        match request.ok_or(NO_REQUEST).and_then(certificate) {
            Ok(certificate) if certificate.thumbprint() == expected => Ok(()),
            Ok(_) => Err(AuthError::new(AuthErrorKind::WrongCertificate).because(ANOTHER)),
            Err(cause) => Err(AuthError::new(AuthErrorKind::MissingCertificate).because(cause)),
        }
    }
}

/// Returns the certificate of a request, or the reason why there is none.
fn certificate(request: Head<'_>) -> Result<ClientCertificate, &'static FixedCause> {
    let extensions = request.extensions();
    let cause = || extensions.get().map_or(NO_EXTENSION, |&UnreadableCertificate(cause)| cause);
    extensions.get().copied().ok_or_else(cause)
}

const NO_REQUEST: &FixedCause = &FixedCause(
    "the token is verified without a request, so there is no connection; use a JwtAuthLayer, or set \
     Credential::with_request",
);
const NO_EXTENSION: &FixedCause = &FixedCause(
    "the request has no `ClientCertificate` in its extensions: the client sent no certificate, the TLS acceptor does not \
     insert it, or a ClientCertificateLayer is missing or does not recognize the proxy",
);
const ANOTHER: &FixedCause = &FixedCause(
    "the certificate of the connection is not the one that the token is bound to (`cnf.x5t#S256`): the client has renewed \
     it and needs a new token, or it is the certificate of a proxy, or the token is stolen",
);

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
