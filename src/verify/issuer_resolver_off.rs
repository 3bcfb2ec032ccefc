//! Replaces `issuer_resolver/mod.rs` if the feature is off: no resolver can exist.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::challenges::Challenges;
use crate::credential::Credential;
use crate::verify::Verdict;

pub(crate) struct Resolver<C> {
    never: Infallible,
    claims: PhantomData<C>,
}

impl<C> Resolver<C> {
    pub(crate) fn challenges(&self) -> &Challenges {
        match self.never {}
    }

    pub(crate) fn forget(&self, _: &str) -> bool {
        match self.never {}
    }

    pub(crate) fn verify(self: &Arc<Self>, _: &str, _: Credential<'_>) -> Verdict<C> {
        match self.never {}
    }
}
