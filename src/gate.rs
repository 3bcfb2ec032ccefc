//! The decision about a request, in one place: find the token, have it judged, put the claims in or refuse.

use std::fmt::{self, Formatter};
use std::sync::Arc;

use http::{Request, Response, StatusCode};

use crate::challenge::Challenge;
use crate::claims::{Anonymous, Claims};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::reject::{self, Reject};
use crate::token_source::{TokenSource, is_well_formed};
use crate::verify::{PendingVerdict, Verdict, Verify};

/// What a layer is made of, but for the service inside.
#[derive(Clone)]
pub(crate) struct Gate<V, R> {
    pub(crate) verifier: V,
    pub(crate) sources: Vec<TokenSource>,
    pub(crate) optional: bool,
    pub(crate) challenge: Option<Arc<Challenge>>,
    pub(crate) reject: R,
}

/// How far a request has come.
pub(crate) enum Step<C> {
    /// It may pass: the extensions are as the service inside expects them.
    Accepted,
    Refused(AuthError),
    /// It has to wait for the verdict, and then be [finished](Gate::finish).
    Waiting(PendingVerdict<C>),
}

impl<V, R> Gate<V, R> {
    /// The `Debug` output of whatever is made of a gate.
    pub(crate) fn describe(&self, f: &mut Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("sources", &self.sources)
            .field("optional", &self.optional)
            .field("challenge", &Challenge::or_default(self.challenge.as_deref()))
            .finish_non_exhaustive()
    }
}

impl<V, R> Gate<V, R>
where
    V: Verify,
    V::Claims: Send + Sync + 'static,
{
    /// Takes a request as far as it goes without waiting.
    #[inline]
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) -> Step<V::Claims> {
        for source in &self.sources {
            source.mark_sensitive(request.headers_mut());
        }
        let judged = match self.credential(request) {
            Ok(Some(token)) => match self.verifier.verify_bytes(token) {
                Verdict::Ready(judged) => judged.map_err(|error| reconsider(token, error)),
                Verdict::Pending(verdict) => return Step::Waiting(verdict),
            },
            Ok(None) if self.optional => {
                self.pass_anonymous(request);
                return Step::Accepted;
            }
            Ok(None) => Err(AuthErrorKind::MissingCredential.into()),
            Err(kind) => Err(kind.into()),
        };
        match self.finish(request, judged) {
            Ok(()) => Step::Accepted,
            Err(error) => Step::Refused(error),
        }
    }

    /// Puts the claims of a judged token into the request, or says why not.
    #[inline]
    pub(crate) fn finish<B>(
        &self,
        request: &mut Request<B>,
        judged: Result<Claims<V::Claims>, AuthError>,
    ) -> Result<(), AuthError> {
        let mut claims = judged.map_err(|error| error.in_challenge(self.challenge.as_ref()))?;
        claims.set_challenge(self.challenge.clone());
        request.extensions_mut().insert(claims);
        Ok(())
    }

    /// The response that tells a client of a refusal.
    pub(crate) fn refuse<B, ResBody>(&self, error: AuthError, request: &Request<B>) -> Response<ResBody>
    where
        R: Reject<ResBody>,
    {
        reject::refuse(&self.reject, error, request.into())
    }

    /// The one credential of a request.
    #[inline]
    fn credential<'a, B>(&self, request: &'a Request<B>) -> Result<Option<&'a [u8]>, AuthErrorKind> {
        let mut found = None;
        for source in &self.sources {
            let token = source.find(request.headers())?;
            if token.is_some() && found.is_some() {
                return Err(AuthErrorKind::MultipleCredentials);
            }
            found = found.or(token);
        }
        Ok(found)
    }

    fn pass_anonymous<B>(&self, request: &mut Request<B>) {
        // Claims that are there already come from somewhere else, and say nothing of this request.
        request.extensions_mut().remove::<Claims<V::Claims>>();
        request.extensions_mut().insert(Anonymous::<V::Claims>::new(self.challenge.clone()));
    }
}

/// A token that was refused may have been no token at all: then the request is at fault, not the token.
fn reconsider(token: &[u8], error: AuthError) -> AuthError {
    if error.status() == StatusCode::UNAUTHORIZED && !is_well_formed(token) {
        return AuthErrorKind::MalformedCredential.into();
    }
    error
}
