use std::sync::Arc;

use super::{AnyVerifier, Verify};
use crate::challenges::Challenges;
use crate::credential::Credential;
use crate::error::FixedCause;

/// One of several verifiers.
pub(super) struct Member<C> {
    pub(super) verifier: AnyVerifier<C>,
    pub(super) challenges: Challenges,
}

/// The cause of a rejection because of the scheme.
pub(super) const OTHER_SCHEME: &FixedCause = &FixedCause(
    "wrong scheme: the selected verifier does not offer the scheme of this token; another verifier does",
);

impl<C> Member<C> {
    pub(super) fn new(verifier: impl Verify<Claims = C> + 'static) -> Self {
        let challenges = verifier.challenges();
        Self { verifier: Arc::new(verifier), challenges }
    }

    /// Returns true for a scheme that only other verifiers offer. A scheme that no verifier offers comes from a custom token
    /// source, and any verifier may accept it.
    pub(super) fn is_for_other_scheme<'m>(
        &self,
        credential: &Credential<'_>,
        others: impl IntoIterator<Item = &'m Self>,
    ) -> bool
    where
        C: 'm,
    {
        let offers = |member: &Self| member.challenges.position(credential.scheme()).is_some();
        !offers(self) && others.into_iter().any(offers)
    }
}

impl<C> Clone for Member<C> {
    fn clone(&self) -> Self {
        Self { verifier: Arc::clone(&self.verifier), challenges: self.challenges.clone() }
    }
}
