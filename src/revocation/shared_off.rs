//! Replaces `shared` if its feature is off.

use super::{Revocation, RevocationWrite};

/// Uninhabited: there is no store.
pub(crate) enum StoreLink {}

impl StoreLink {
    pub(super) fn is_current(&self) -> bool {
        match *self {}
    }

    pub(super) fn record(&self, _: Revocation) -> RevocationWrite {
        match *self {}
    }
}
