//! [`Mtls`] without the feature `mtls`: there is no value of it.

use crate::binding::Thumbprint;
use crate::error::AuthError;
use crate::head::Head;

#[derive(Clone, Debug)]
pub(crate) enum Mtls {}

impl Mtls {
    pub(super) fn is_required(&self) -> bool {
        match *self {}
    }

    pub(super) fn judge(&self, _: Thumbprint, _: Option<Head<'_>>) -> Result<(), AuthError> {
        match *self {}
    }
}
