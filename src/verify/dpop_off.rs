//! [`Dpop`] without the feature `dpop`: there is no value of it.

use std::time::Duration;

use super::Verdict;
use crate::binding::Thumbprint;
use crate::challenges::Challenges;
use crate::claims::Claims;
use crate::credential::Credential;
use crate::error::AuthError;
#[cfg(feature = "explain")]
use crate::head::Head;

#[derive(Clone, Debug)]
pub(crate) enum Dpop {}

impl Dpop {
    pub(super) fn is_required(&self) -> bool {
        match *self {}
    }

    pub(super) fn offer(&self, _: Challenges) -> Challenges {
        match *self {}
    }

    #[cfg(feature = "explain")]
    pub(super) fn inspect(&self, _: Thumbprint, _: &Credential<'_>, _: Duration) -> Result<(), AuthError> {
        match *self {}
    }

    #[cfg(feature = "explain")]
    pub(super) fn expected_urls(&self, _: Head<'_>) -> String {
        match *self {}
    }

    pub(super) fn judge(&self, _: Thumbprint, _: &Credential<'_>, _: Duration) -> Result<Proven, AuthError> {
        match *self {}
    }
}

pub(super) enum Proven {}

impl Proven {
    pub(super) fn accept<C>(self, _: Claims<C>) -> Verdict<C> {
        match self {}
    }
}
