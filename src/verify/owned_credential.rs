use crate::credential::Credential;
use crate::head::{Head, OwnedHead};
use crate::scheme::Scheme;

/// A credential that outlives its request, while its issuer is looked up.
pub(super) struct OwnedCredential {
    token: Vec<u8>,
    scheme: Box<str>,
    request: Option<OwnedHead>,
}

impl OwnedCredential {
    pub(super) fn copy(credential: Credential<'_>) -> Self {
        Self {
            token: credential.token().to_owned(),
            scheme: credential.scheme().as_str().into(),
            request: credential.request().map(OwnedHead::copy),
        }
    }

    pub(super) fn head(&self) -> Option<Head<'_>> {
        self.request.as_ref().map(OwnedHead::head)
    }

    /// Borrows the credential, with this [request head](Self::head).
    pub(super) fn get<'a>(&'a self, request: Option<&'a Head<'a>>) -> Credential<'a> {
        let credential = Credential::new(Scheme::trusted(&self.scheme), &self.token);
        match request {
            Some(request) => credential.with_request(request),
            None => credential,
        }
    }
}
