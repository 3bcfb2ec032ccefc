//! Sender-constrained tokens: checks that the client that sends a bound token holds its key or certificate.

use std::sync::Arc;

use super::Verdict;
use super::clock::Clock;
use super::dpop::{Dpop, Proven};
use super::mtls::Mtls;
use super::owned_credential::OwnedCredential;
use crate::binding::Binding;
use crate::challenges::Challenges;
use crate::claims::Claims;
use crate::credential::Credential;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// The supported bindings of a verifier.
#[derive(Clone, Default)]
pub(crate) struct Senders {
    pub(crate) dpop: Option<Dpop>,
    pub(crate) mtls: Option<Mtls>,
}

impl Senders {
    /// Returns true if the verifier can check every part of this binding.
    pub(super) fn support(&self, binding: &Binding) -> bool {
        (binding.key().is_none() || self.dpop.is_some())
            && (binding.certificate().is_none() || self.mtls.is_some())
    }

    /// Returns true if a token must be bound.
    pub(super) fn require_binding(&self) -> bool {
        self.dpop.as_ref().is_some_and(Dpop::is_required) || self.mtls.as_ref().is_some_and(Mtls::is_required)
    }

    /// Returns the schemes of the tokens that can be accepted.
    pub(crate) fn challenges(&self) -> Challenges {
        let takes_bearer = self.mtls.is_some() || !self.require_binding();
        match &self.dpop {
            Some(dpop) if takes_bearer => dpop.offer(Challenges::bearer()),
            Some(dpop) => dpop.offer(Challenges::new(Scheme::DPOP)),
            None => Challenges::bearer(),
        }
    }

    /// Checks the sender of a token after its verdict.
    pub(super) fn confirm<C: Send + Sync + 'static>(
        self: &Arc<Self>,
        verdict: Verdict<C>,
        credential: &Credential<'_>,
        clock: &Clock,
    ) -> Verdict<C> {
        match verdict {
            Verdict::Ready(Ok(claims)) => self.judge(claims, credential, clock),
            Verdict::Ready(Err(error)) => Verdict::Ready(Err(error)),
            Verdict::Pending(pending) => {
                let (senders, clock) = (Arc::clone(self), clock.clone());
                let credential = OwnedCredential::copy(*credential);
                Verdict::Pending(Box::pin(async move {
                    let claims = pending.await?;
                    let verdict = {
                        let request = credential.head();
                        senders.judge(claims, &credential.get(request.as_ref()), &clock)
                    };
                    verdict.await
                }))
            }
        }
    }

    fn judge<C: Send + Sync + 'static>(
        &self,
        claims: Claims<C>,
        credential: &Credential<'_>,
        clock: &Clock,
    ) -> Verdict<C> {
        match self.check(claims.token().binding(), credential, clock) {
            Ok(None) => Verdict::Ready(Ok(claims)),
            Ok(Some(proven)) => proven.accept(claims),
            Err(error) => Verdict::Ready(Err(error.about(claims.about()).proven())),
        }
    }

    /// Checks the binding of a token. Returns the proof, if there is one.
    fn check(
        &self,
        binding: Option<&Binding>,
        credential: &Credential<'_>,
        clock: &Clock,
    ) -> Result<Option<Proven>, AuthError> {
        let reject = |kind, cause| Err(AuthError::new(kind).because(cause));
        let is_dpop = credential.scheme() == Scheme::DPOP;
        let Some(binding) = binding else {
            return match is_dpop || self.require_binding() {
                true => reject(AuthErrorKind::MissingBinding, NOT_BOUND),
                false => Ok(None),
            };
        };
        if !self.support(binding) {
            return Err(AuthErrorKind::SenderConstrained.into());
        }
        if let (Some(certificate), Some(mtls)) = (binding.certificate(), &self.mtls) {
            mtls.judge(certificate, credential.request())?;
        }
        match (binding.key(), &self.dpop) {
            (None, _) if is_dpop => reject(AuthErrorKind::MissingBinding, NOT_BOUND_TO_KEY),
            (None, _) => Ok(None),
            (Some(key), Some(dpop)) if is_dpop => dpop.judge(key, credential, clock.now()).map(Some),
            (Some(_), _) => reject(AuthErrorKind::SenderConstrained, SENT_AS_BEARER),
        }
    }
}

/// Rejects an accepted token that was sent with the scheme `DPoP` to a verifier without the setting.
#[cold]
pub(super) fn reject_dpop<C: Send + Sync + 'static>(verdict: Verdict<C>) -> Verdict<C> {
    let reject = |claims: Claims<C>| {
        let error = AuthError::new(AuthErrorKind::MissingBinding).because(NOT_BOUND);
        Err(error.about(claims.about()).proven())
    };
    match verdict {
        Verdict::Ready(judged) => Verdict::Ready(judged.and_then(reject)),
        Verdict::Pending(pending) => {
            Verdict::Pending(Box::pin(async move { pending.await.and_then(reject) }))
        }
    }
}

const NOT_BOUND: &FixedCause = &FixedCause(
    "the token has no `cnf` claim, so it is a bearer token; the scheme `DPoP` and the setting `required` need a bound one",
);
const NOT_BOUND_TO_KEY: &FixedCause =
    &FixedCause("the token is bound to a certificate, not to a key; send it with the scheme `Bearer`");
const SENT_AS_BEARER: &FixedCause = &FixedCause(
    "the token is bound to a key (`cnf.jkt`); send it with the scheme `DPoP` and a DPoP proof (RFC 9449, section 7.1)",
);
